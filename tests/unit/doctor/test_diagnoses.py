"""What the doctor concludes from what it saw, and what it advises."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.api.pages import Page
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.doctor import diagnoses
from empirical_fs.doctor.diagnoses import Answered, Finding, Verdict
from empirical_fs.errors import (
    ApiUnavailable,
    BadAnswer,
    ContentChanged,
    DeadlinePassed,
    EmpiricalError,
    KeyRefused,
    NotTheApi,
    OutOfReach,
    SetupError,
    StoreUnavailable,
    UnsafeUrl,
    UrlRefused,
)
from empirical_fs.server import Server

NOW = 1_800_000_000.0
SERVER = Server("https", "x.example", 443)
RESOURCE = Resource(id=7, name="a", size=1, updated_ns=0, link=None)


def answered(server_time: float | None = NOW, total: int = 345) -> Answered:
    page = Page(
        resources=(),
        ids=(),
        malformed=(),
        urls={},
        total=total,
        total_pages=-(-total // 100),
        server_time=server_time,
    )
    return Answered(page, NOW - 0.5, NOW + 0.5, 0.123)


@pytest.mark.parametrize(
    ("good", "malformed", "verdict"),
    [
        (2, [], Verdict.OK),
        (1, [Malformed(7, "its size")], Verdict.WARNING),
        (0, [Malformed(7, "its date", makeshift=RESOURCE)], Verdict.WARNING),
        (0, [Malformed(7, "its size"), Malformed(None, "its id")], Verdict.FAILED),
        (0, [], Verdict.OK),
    ],
)
def test_entries(good: int, malformed: list[Malformed], verdict: Verdict) -> None:
    """A page with entries that cannot be read is a warning, and a failure if nothing of it could be shown."""
    page = Page(
        resources=(RESOURCE,) * good,
        ids=(7,) * (good + len(malformed)),
        malformed=tuple(malformed),
        urls={},
        total=2,
        total_pages=1,
        server_time=NOW,
    )
    finding = diagnoses.of_api("https://x.example", Answered(page, NOW, NOW, 0.1))
    assert finding.verdict == verdict
    assert (finding.advice is None) == (verdict is Verdict.OK)
    if malformed:
        count = f"{len(malformed)} of the {len(page.ids)} entries"
        assert f"{count} of the first page cannot be read: {malformed[0].reason}" in finding.seen


@pytest.mark.parametrize(
    ("text", "allows"),
    [
        ("", False),
        ("user_allow_other", True),
        ("mount_max = 5\n  user_allow_other\t# for the web server\n", True),
        ("#user_allow_other\n# user_allow_other", False),
        ("user_allow_other = 1", False),
        ("user_allow_others", False),
    ],
)
def test_fuse_conf(text: str, *, allows: bool) -> None:
    """The option stands alone on its line, without what is behind a #."""
    assert diagnoses.allows_others(text) == allows


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("", set()),
        ('PRUNEFS = "NFS nfs4 fuse.sshfs"', {"nfs", "nfs4", "fuse.sshfs"}),
        ("PRUNE_BIND_MOUNTS = \"yes\"\n PRUNEFS='a\tb'  # c\n", {"a", "b"}),
        ("PRUNEFS=a", {"a"}),
        ('#PRUNEFS = "a"', set()),
        ('PRUNEPATHS = "/fuse.empirical-mount"', set()),
        ('PRUNEFS = ""', set()),
        ('PRUNEFS = "a', set()),
        ('PRUNEFS = "a"\r\n', {"a"}),
    ],
)
def test_updatedb_conf(text: str, types: set[str]) -> None:
    """The types are those between the quotes of PRUNEFS, whatever their case."""
    assert diagnoses.pruned_types(text) == types


@given(st.text())
def test_any_configuration(text: str) -> None:
    """No text of a file is too much for the parsers."""
    diagnoses.allows_others(text)
    diagnoses.pruned_types(text)


@given(st.integers(-(10**9), 10**9), st.floats(0, 30), st.floats(0, 1))
def test_skew_is_never_made_up(offset: int, took: float, moment: float) -> None:
    """What is said of a clock is what it is ahead, less what the answer and whole seconds leave open."""
    server_time = math.floor(NOW + took * moment + offset)
    ahead = diagnoses.skew(server_time, NOW, NOW + took)
    assert abs(ahead) <= abs(offset)
    assert abs(ahead) >= abs(offset) - took - 1
    assert ahead * offset >= 0


@pytest.mark.parametrize(
    ("server_time", "verdict", "phrase"),
    [
        (NOW, Verdict.OK, "within 1 s"),
        (NOW + 60, Verdict.OK, "within 60 s"),
        (NOW - 61, Verdict.OK, "within 60 s"),
        (NOW + 100, Verdict.WARNING, "100 s behind"),
        (NOW - 7201, Verdict.WARNING, "120 min ahead of"),
        (NOW - 10801, Verdict.WARNING, "3 h ahead of"),
        (NOW + 86400 * 365, Verdict.WARNING, "8760 h behind"),
        (None, Verdict.SKIPPED, "does not say"),
    ],
)
def test_clocks(server_time: float | None, verdict: Verdict, phrase: str) -> None:
    """More than a minute is a warning, with the side that our clock is on."""
    finding = diagnoses.of_clock(answered(server_time))
    assert finding.verdict == verdict
    assert phrase in finding.seen
    assert (finding.advice is not None) == (verdict is Verdict.WARNING)


@pytest.mark.parametrize(
    ("is_allowed", "is_asked", "is_root", "verdict"),
    [
        (True, True, False, Verdict.OK),
        (False, False, False, Verdict.OK),
        (None, False, False, Verdict.OK),
        (False, True, True, Verdict.OK),
        (False, True, False, Verdict.FAILED),
        (None, True, False, Verdict.WARNING),
    ],
)
def test_others(*, is_allowed: bool | None, is_asked: bool, is_root: bool, verdict: Verdict) -> None:
    """Only a user who asks for allow_other needs the line."""
    finding = diagnoses.of_others(is_allowed=is_allowed, is_asked=is_asked, is_root=is_root)
    assert finding.verdict == verdict
    assert (finding.advice is None) == (verdict is Verdict.OK)


REFUSED, GONE, ODD = KeyRefused(401), ApiUnavailable("refused", silent=SERVER), NotTheApi("html")


@pytest.mark.parametrize(
    ("answer", "key", "api", "clock"),
    [
        (answered(), Verdict.OK, Verdict.OK, Verdict.OK),
        (REFUSED, Verdict.FAILED, Verdict.OK, Verdict.SKIPPED),
        (GONE, Verdict.SKIPPED, Verdict.FAILED, Verdict.SKIPPED),
        (ODD, Verdict.SKIPPED, Verdict.FAILED, Verdict.SKIPPED),
        (DeadlinePassed("slow"), Verdict.SKIPPED, Verdict.FAILED, Verdict.SKIPPED),
    ],
)
def test_one_answer_speaks_of_three(
    answer: Answered | EmpiricalError, key: Verdict, api: Verdict, clock: Verdict
) -> None:
    """A key is refused by an API that is well, and nothing is said of it by one that is not."""
    findings = [
        diagnoses.of_key("FILE", answer),
        diagnoses.of_api("https://x.example", answer),
        diagnoses.of_clock(answer),
    ]
    assert [finding.verdict for finding in findings] == [key, api, clock]
    assert all(finding.advice for finding in findings if finding.verdict is not Verdict.OK)


def test_an_api_that_is_well() -> None:
    """It says where it is, how long a page took and how much there is."""
    assert diagnoses.of_api("https://x.example", answered()).seen == (
        "https://x.example: a page in 0.12 s, 345 resources in all"
    )


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (GONE, "--api-url"),
        (ApiUnavailable("HTTP 500"), "try again"),
        (ApiUnavailable("an expired certificate", advice="check the clock", lasting=True), "clock"),
        (ApiUnavailable("HTTP 503", math.inf), "try again"),
        (ODD, "--api-url"),
    ],
)
def test_advice_on_the_api(error: EmpiricalError, phrase: str) -> None:
    """What to do depends on what went wrong."""
    assert phrase in (diagnoses.of_api("https://x.example", error).advice or "")


@pytest.mark.parametrize(
    ("error", "phrase"),
    [
        (StoreUnavailable("no answer in time", silent=SERVER), "reach x.example by https"),
        (OutOfReach("x.example"), "reach x.example by https"),
        (StoreUnavailable("HTTP 500"), "try again"),
        (StoreUnavailable("an expired certificate", advice="check the clock", lasting=True), "clock"),
        (StoreUnavailable("HTTP 503", math.inf), "try again"),
        (UrlRefused(403), "clock"),
        (UnsafeUrl("a URL that is not https"), "who runs the API"),
        (BadAnswer("a page"), "sign-in page"),
        (NotTheApi("html"), "API first"),
        (ContentChanged("the object is gone"), "upload"),
    ],
)
def test_the_store(error: EmpiricalError, phrase: str) -> None:
    """Who does not answer, or wrongly, is named, and what to do depends on how."""
    finding = diagnoses.of_store("x.example", error)
    seen = error.what
    assert finding.verdict == Verdict.FAILED
    assert finding.seen == (seen if "x.example" in seen else f"x.example: {seen}")
    assert phrase in (finding.advice or "")


def test_errors_bring_their_own_advice() -> None:
    """What the error says to do goes before what would be said else."""
    assert diagnoses.of_error("n", SetupError("a", advice="b; c"), "d") == Finding(
        "n", Verdict.FAILED, "a", "b; c"
    )
    assert diagnoses.of_error("n", SetupError("a\nb"), "d") == Finding("n", Verdict.FAILED, "a b", "d")


def test_for_people() -> None:
    """A line with the verdict in its column, one below it where there is something to do."""
    assert list(diagnoses.lines(Finding("clock", Verdict.OK, "right"))) == [
        "ok       clock             right"
    ]
    assert list(diagnoses.lines(Finding("user_allow_other", Verdict.FAILED, "x", "y"))) == [
        "FAILED   user_allow_other  x",
        "         y",
    ]


@given(st.text(), st.text())
def test_lines_are_lines(seen: str, advice: str) -> None:
    """Nothing that was seen can start another line, or speak to a terminal."""
    shown = list(diagnoses.lines(Finding("name", Verdict.WARNING, seen, advice)))
    assert len(shown) == 2
    assert all(line.isprintable() for line in shown)
