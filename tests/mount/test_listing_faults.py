"""Listings of which something cannot be read, on a real mount: what cannot be read is not deleted."""

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from empirical_fs.cli.status_table import table
from empirical_fs.control import protocol, reloading
from empirical_fs.control.protocol import Command
from empirical_fs.errors import SetupError
from empirical_fs.work.progress import unseen
from tests.conftest import Mount
from tests.mount.test_listing import warnings
from tests.mount.test_status import status
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mounts,
    noise,
    run,
    said,
    wait_until,
)

COUNT = 12
SIZES = {f"{number:02}.bin": 100 + number for number in range(COUNT)}
MTIME = 1_769_949_045
"""2026-02-01T12:30:45Z; odd, so that nothing that is cut or guessed is the same by chance."""
LATER = 2 * 3600.0
"""Seconds by which the server's clock is put forward, so that every URL has to be signed again."""
HUGE = "9" * 5000
Entries = list[Any]
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    for name, size in SIZES.items():
        sandbox.put(name, noise(size, size), MTIME)
    return sandbox


def answered(entries: Any, total: Any = None, total_pages: Any = 1) -> dict[str, Any]:
    """The action of a plan that answers the listing with these entries on its only page."""
    pagination = {
        "page": 1,
        "per_page": 100,
        "total": len(entries) if total is None else total,
        "total_pages": total_pages,
    }
    return body({"data": {"resources": entries}, "pagination": pagination})


def body(answer: Any) -> dict[str, Any]:
    # Python would not parse a number of that length, nor write it.
    return {"type": "body", "body": json.dumps(answer).replace('"HUGE"', HUGE)}


def listed_so(sandbox: Sandbox, action: dict[str, Any]) -> None:
    sandbox.plan(faults=[{"on": "list", "action": action}])


def with_fields(**fields: Any) -> Change:
    return lambda entry: {**entry, **fields}


def without(field: str) -> Change:
    return lambda entry: {name: value for name, value in entry.items() if name != field}


def in_place(value: Any) -> Change:
    return lambda _: value


def looks(mounted: Mounted) -> dict[str, tuple[int, int, int]]:
    """What `stat` shows of every file."""
    found = {each.name: each.stat() for each in mounted.path.iterdir()}
    return {name: (each.st_ino, each.st_size, each.st_mtime_ns) for name, each in found.items()}


# Asked as the command line asks, without the time that its start takes.
def reload(mounted: Mounted) -> None:
    reloading.reload(mounted.path, unseen)


def report(mounted: Mounted) -> dict[str, Any]:
    return protocol.ask(mounted.path, Command.STATUS)


def state(mounted: Mounted) -> str:
    return state_of(report(mounted))


def state_of(told: dict[str, Any]) -> str:
    shown = table([told])
    (line,) = (line for line in shown.splitlines() if line.startswith("  state "))
    return line.removeprefix("  state").strip()


@pytest.mark.warns(
    "its size_bytes is not a whole number .1 shown as last read",
    "the listing could not be refreshed, .*: the answer of 127.0.0.1 is not what",
)
def test_on_the_command_line(project: Sandbox, mount: Mount) -> None:
    """`--reload` fails where there is no listing, and `--status` says what is wrong with the last one."""
    with mount("--refresh", "1000") as mounted:
        project.override({"03.bin": {"size_bytes": "x"}})
        empirical_mount("--reload", mounted.path)
        assert status(mounted)["unreadable_entries"] == 1
        shown = empirical_mount("--status", mounted.path).stdout
        assert (
            "state        degraded: 1 entry of the listing cannot be read, 1 of them shown as they were last"
            in shown
        )
        listed_so(project, body({}))
        done = empirical_mount("--reload", mounted.path, check=False)
        assert (done.returncode, status(mounted)["listing_failure"] in said(done)) == (1, True)


def backed_up(mounted: Mounted, backup: Path) -> dict[str, int]:
    """The files and the sizes of a copy that follows the mount, deletions included."""
    run("rsync", "-a", "--delete", f"{mounted.path}/", f"{backup}/")
    return {each.name: each.stat().st_size for each in backup.iterdir()}


SAME: dict[str, Change] = {
    "sizes as texts": lambda entry: {**entry, "size_bytes": str(entry["size_bytes"])},
    "sizes as floats": lambda entry: {**entry, "size_bytes": float(entry["size_bytes"])},
    "ids as texts": lambda entry: {**entry, "id": str(entry["id"])},
    "ids as floats": lambda entry: {**entry, "id": float(entry["id"])},
    "project as a text": with_fields(project_id="1"),
    "project as a float": with_fields(project_id=1.0),
    "project absurd": with_fields(project_id="HUGE"),
    "status in capitals": with_fields(status="UPLOADED"),
    "status with blanks": with_fields(status=" Uploaded "),
    "dates in seconds": with_fields(updated_at=MTIME),
    "dates in milliseconds": with_fields(updated_at=MTIME * 1000),
    "dates in floats": with_fields(updated_at=float(MTIME)),
    "dates in digits": with_fields(updated_at=str(MTIME)),
    "HTTP dates": with_fields(updated_at="Sun, 01 Feb 2026 12:30:45 GMT"),
    "dates with a blank": with_fields(updated_at="2026-02-01 12:30:45"),
    "dates without separators": with_fields(updated_at="20260201T123045Z"),
    "no url": without("url"),
    "a url that is no text": with_fields(url=7),
}


def test_other_forms(project: Sandbox, mount: Mount) -> None:
    """Numbers, words and dates that are written in another way mean the same, and all is well."""
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        for what, change in SAME.items():
            listed_so(project, answered([change(deepcopy(each)) for each in entries]))
            reload(mounted)
            assert looks(mounted) == before, what
            found = report(mounted)
            assert (found["unreadable_entries"], state_of(found)) == (0, "online"), what
        listed_so(project, {**answered(entries, str(COUNT), 1.0)})
        reload(mounted)
        assert (looks(mounted), state(mounted)) == (before, "online")
        assert warnings(mounted) == []
        for name, size in SIZES.items():
            assert (mounted / name).read_bytes() == noise(size, size)


UNREADABLE: dict[str, Change] = {
    "sizes in words": with_fields(size_bytes="many"),
    "sizes with a blank": with_fields(size_bytes=" 5"),
    "sizes with a fraction": with_fields(size_bytes=5.5),
    "sizes that are true": with_fields(size_bytes=True),
    "sizes below zero": with_fields(size_bytes=-1),
    "sizes beyond all": with_fields(size_bytes=2**63),
    "sizes of thousands of digits": with_fields(size_bytes="HUGE"),
    "sizes that are no numbers": with_fields(size_bytes=float("nan")),
    "null for a name": with_fields(name=None),
    "numbers for names": with_fields(name=7),
    "no names": without("name"),
    "another status": with_fields(status="ready"),
    "null for a status": with_fields(status=None),
    "no status": without("status"),
    "dates in words": with_fields(updated_at="yesterday"),
    "dates of another kind": with_fields(updated_at={"seconds": 5}),
    "null for an id": with_fields(id=None),
    "ids in words": with_fields(id="seven"),
    "ids below zero": with_fields(id=-1),
    "ids of thousands of digits": with_fields(id="HUGE"),
    "no ids": without("id"),
    "neither ids nor names": with_fields(id=None, name=None),
    "null": in_place(None),
    "texts": in_place("x"),
    "lists": in_place([]),
    "empty objects": in_place({}),
}
NEVER_MOUNTED = ["sizes in words", "no names", "another status", "null for an id", "null"]


@pytest.mark.warns(
    r"(resource \d+|an entry without an id) and \d+ more of the listing cannot be read: it",
    "files that are no longer listed are shown as last read",
)
def test_all_unreadable(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """If no entry can be read any more, all files stay as they were, and the state says that they are old."""
    backup = tmp_path / "backup"
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        assert backed_up(mounted, backup) == SIZES
        for what, change in UNREADABLE.items():
            listed_so(project, answered([change(deepcopy(each)) for each in entries]))
            told = len(warnings(mounted))
            for _ in range(2):
                reload(mounted)
                assert looks(mounted) == before, what
            found = report(mounted)
            assert found["unreadable_entries"] == COUNT, what
            assert state_of(found) == (
                f"degraded: {COUNT} entries of the listing cannot be read,"
                f" {COUNT} of them shown as they were last"
            ), what
            assert backed_up(mounted, backup) == SIZES, what
            news = warnings(mounted)[told:]
            assert len(news) <= 2, (what, news)
            assert all(len(line) < 400 and "Signature" not in line for line in news), what
            project.plan()
            reload(mounted)
            found = report(mounted)
            assert (looks(mounted), state_of(found)) == (before, "online"), what
            assert found["unreadable_entries"] == 0
        assert warnings(mounted)
        for name, size in SIZES.items():
            assert (mounted / name).read_bytes() == noise(size, size)


@pytest.mark.parametrize("updated_at", [None, 0, "0001-01-01T00:00:00Z"])
@pytest.mark.warns(r"resources have lost their updated_at: \d+, shown with earlier dates")
def test_dates_that_are_lost(project: Sandbox, mount: Mount, updated_at: object) -> None:
    """If the API gives no dates any more, files keep those that they had, and the state says so."""
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        change = with_fields(updated_at=updated_at, created_at="2001-01-01T00:00:00Z")
        listed_so(project, answered([change(deepcopy(each)) for each in entries]))
        reload(mounted)
        assert looks(mounted) == before
        assert state(mounted).startswith(f"degraded: {COUNT} entries")
        project.plan()
        reload(mounted)
        assert (looks(mounted), state(mounted)) == (before, "online")


@pytest.mark.warns("the listing could not be refreshed, .*: the listing is of another project")
def test_another_project(project: Sandbox, mount: Mount) -> None:
    """A listing of another project, for a moment, replaces nothing."""
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        others = [{**each, "id": each["id"] + 1000, "project_id": 77} for each in entries]
        listed_so(project, answered(others))
        with pytest.raises(SetupError, match="another project"):
            reload(mounted)
        assert looks(mounted) == before


@pytest.mark.warns(
    r"an entry without an id and \d+ more of the listing cannot be read",
    "files that are no longer listed are shown as last read",
)
def test_strangers(project: Sandbox, mount: Mount) -> None:
    """Entries that cannot be read, and are of no known file, let none go."""
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        strangers = [{**each, "id": f"uuid-{each['id']}", "name": f"x/{each['name']}"} for each in entries]
        listed_so(project, answered(strangers))
        reload(mounted)
        assert looks(mounted) == before
        assert state(mounted).startswith("degraded")


@pytest.mark.parametrize("fields", [{"size_bytes": "x"}, {"name": None}, {"status": "ready"}], ids=json.dumps)
@pytest.mark.warns(
    r"resource \d+ cannot be read: its (size_bytes|name|status) is not .* .1 shown as last read"
)
def test_one_unreadable(project: Sandbox, mount: Mount, fields: dict[str, Any]) -> None:
    """The file that cannot be read stays, and opens; meanwhile the others change, come and go."""
    with mount("--refresh", "0.05") as mounted:
        kept = looks(mounted)["03.bin"]
        project.override({"03.bin": fields})
        project.put("04.bin", noise(999, 4))
        project.put("new.bin", b"new")
        (project.folder / "05.bin").unlink()
        wait_until(lambda: "new.bin" in mounted.names(), "the new file")
        assert mounted.names() == {*SIZES, "new.bin"} - {"05.bin"}
        assert looks(mounted)["03.bin"] == kept
        assert (mounted / "04.bin").read_bytes() == noise(999, 4)
        # The kernel is told of the new file before the state is that of its listing.
        wait_until(lambda: report(mounted)["unreadable_entries"] == 1, "the state of the new listing")
        assert report(mounted)["listing_failure"] is None
        assert state(mounted).startswith("degraded: 1 entry ")
        # Its URL comes from an entry of which the rest cannot be read.
        project.plan(clock_offset_s=LATER)
        assert (mounted / "03.bin").read_bytes() == noise(SIZES["03.bin"], SIZES["03.bin"])
        assert [("resource 4 " in line) for line in warnings(mounted)] == [True]
        (project.folder / "03.bin").unlink()
        project.override({})
        wait_until(lambda: "03.bin" not in mounted.names(), "the end of the file")
        wait_until(lambda: state(mounted) == "online", "the state")


def test_what_is_not_there_goes(project: Sandbox, mount: Mount) -> None:
    """A status that says that there is nothing to read takes its file away, and is no trouble."""
    words = ["pending", "Processing", "FAILED", "deleted", "cancelled", "in-progress", "expired"]
    gone = dict(zip(SIZES, words, strict=False))
    project.override({name: {"status": word} for name, word in gone.items()})
    with mount("--refresh", "1000") as mounted:
        assert mounted.names() == SIZES.keys() - gone.keys()
        project.override({name: {"status": "deleted", "name": None} for name in SIZES})
        reload(mounted)
        assert (mounted.names(), state(mounted), warnings(mounted)) == (set(), "online", [])


@pytest.mark.parametrize("what", NEVER_MOUNTED)
def test_nothing_to_mount(project: Sandbox, tmp_path: Path, what: str) -> None:
    """A project of which not one entry can be read is not mounted, and one line says what to do."""
    listed_so(project, answered([UNREADABLE[what](each) for each in project.listing()]))
    path = tmp_path / "mnt"
    wanted = environment(EMPIRICALRUN_KEY=KEY)
    done = empirical_mount("--api-url", project.url, path, env=wanted, check=False)
    assert done.returncode == 1
    assert f"none of the {COUNT} resources that the API lists can be read (its " in said(done) or (
        f"none of the {COUNT} resources that the API lists can be read (it " in said(done)
    )
    assert "look for a newer release of empirical-fs" in said(done)
    assert str(path) not in mounts()
    assert not path.exists()


def test_in_the_foreground_too(project: Sandbox, tmp_path: Path) -> None:
    """The line comes alone where the log goes to the same place."""
    listed_so(project, answered([{**each, "size_bytes": "x"} for each in project.listing()]))
    wanted = environment(EMPIRICALRUN_KEY=KEY)
    done = empirical_mount("-f", "--api-url", project.url, tmp_path / "mnt", env=wanted, check=False)
    assert done.returncode == 1
    assert "can be read" in said(done)


EMPTY: dict[str, Callable[[Entries], dict[str, Any]]] = {
    "no entries": lambda _: answered([], 0, 0),
    "null": lambda _: body(
        {
            "data": {"resources": None},
            "pagination": {"page": 1, "per_page": 100, "total": 0, "total_pages": 0},
        }
    ),
    "all pending": lambda entries: answered([{**each, "status": "pending"} for each in entries]),
}


@pytest.mark.parametrize("answer", EMPTY.values(), ids=EMPTY.keys())
def test_an_empty_project(
    project: Sandbox, mount: Mount, answer: Callable[[Entries], dict[str, Any]]
) -> None:
    """A project without uploaded resources is mounted, and a mount follows a project that becomes empty."""
    entries = project.listing()
    listed_so(project, answer(entries))
    with mount("--refresh", "1000") as mounted:
        assert (mounted.names(), state(mounted)) == (set(), "online")
        project.plan()
        reload(mounted)
        assert mounted.names() == set(SIZES)
        listed_so(project, answer(entries))
        reload(mounted)
        assert (mounted.names(), state(mounted)) == (set(), "online")


PAGINATION = {"page": 1, "per_page": 100, "total": COUNT, "total_pages": 1}
ENVELOPES: dict[str, Callable[[Entries], Any]] = {
    "another key": lambda entries: {"data": {"items": entries}, "pagination": PAGINATION},
    "no data": lambda entries: {"resources": entries, "pagination": PAGINATION},
    "a list for data": lambda entries: {"data": entries, "pagination": PAGINATION},
    "pagination in data": lambda entries: {"data": {"resources": entries, "pagination": PAGINATION}},
    "no pagination": lambda entries: {"data": {"resources": entries}},
    "one object": lambda entries: {"data": {"resources": entries[0]}, "pagination": PAGINATION},
    "a text": lambda entries: {"data": {"resources": json.dumps(entries)}, "pagination": PAGINATION},
    "deeper": lambda entries: {"result": {"data": {"resources": entries}, "pagination": PAGINATION}},
    "null of many": lambda _: {"data": {"resources": None}, "pagination": PAGINATION},
    "none of many": lambda _: {"data": {"resources": []}, "pagination": PAGINATION},
    "a total in words": lambda entries: {
        "data": {"resources": entries},
        "pagination": {**PAGINATION, "total": "many"},
    },
    "an absurd total": lambda entries: {
        "data": {"resources": entries},
        "pagination": {**PAGINATION, "total": "HUGE"},
    },
    "null": lambda _: None,
    "a part": lambda entries: {"data": {"resources": entries[:3]}, "pagination": PAGINATION},
    "a part, and nulls": lambda entries: {
        "data": {"resources": [*entries[:3], None, None]},
        "pagination": PAGINATION,
    },
    "one entry for all": lambda entries: {
        "data": {"resources": entries[:1] * COUNT},
        "pagination": PAGINATION,
    },
}


@pytest.mark.warns("the listing could not be refreshed, .*: (the (answer|listing|API))")
def test_what_is_no_listing(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """An answer that is no listing, or a part of one, is refused: all files stay, and the state says why."""
    backup = tmp_path / "backup"
    with mount("--refresh", "1000") as mounted:
        before, entries = looks(mounted), project.listing()
        assert backed_up(mounted, backup) == SIZES
        for what, envelope in ENVELOPES.items():
            listed_so(project, body(envelope(entries)))
            for _ in range(2):
                with pytest.raises(SetupError, match=r"^the listing could not be fetched: ") as caught:
                    reload(mounted)
            assert looks(mounted) == before, what
            found = report(mounted)
            assert found["listing_failure"] in str(caught.value), what
            assert state_of(found).startswith("the listing could not be refreshed: "), what
            assert backed_up(mounted, backup) == SIZES, what
            project.plan()
            reload(mounted)
            found = report(mounted)
            assert (found["listing_failure"], state_of(found)) == (None, "online"), what


@pytest.mark.warns("the listing could not be refreshed, .*: the listing is cut short")
def test_a_part_of_the_listing_again_and_again(sandbox: Sandbox, mount: Mount) -> None:
    """20 of 100 files, of which the API counts 100, do not take the other 80 away, however often."""
    for number in range(100):
        sandbox.put(f"{number}.txt", b"x")
    with mount("--refresh", "0") as mounted:
        listed_so(sandbox, answered(sandbox.listing()[:20], 100))
        sandbox.forget_requests()
        wait_until(lambda: mounted.names() and sandbox.requests()["list"] >= 6, "three refreshes")
        wait_until(lambda: report(mounted)["listing_failure"], "the failure")
        assert len(mounted.names()) == 100
        assert "the API counts 100 resources and lists 20" in state(mounted)
        assert len(warnings(mounted)) == 1
        sandbox.plan()
        (sandbox.folder / "7.txt").unlink()
        wait_until(lambda: "7.txt" not in mounted.names(), "a whole listing")
        assert (len(mounted.names()), state(mounted)) == (99, "online")


@pytest.mark.warns(
    r"the API counts \d+ resources and lists \d+$",
    "the listing could not be refreshed, .*: the listing is cut short",
)
def test_a_steady_disagreement(project: Sandbox, mount: Mount) -> None:
    """An API that always counts one more than it lists is believed, from the first listing on."""
    entries = project.listing()
    listed_so(project, answered(entries, COUNT + 1))
    with mount("--refresh", "1000") as mounted:
        assert mounted.names() == set(SIZES)
        listed_so(project, answered(entries[1:], COUNT))
        reload(mounted)
        assert len(mounted.names()) == COUNT - 1
        assert state(mounted) == "online; the API counts 1 more than it lists"
        listed_so(project, answered(entries[2:], COUNT))
        with pytest.raises(SetupError, match="cut short"):
            reload(mounted)
        assert len(mounted.names()) == COUNT - 1


def paged(entries: Entries, number: int, total: int, total_pages: int) -> dict[str, Any]:
    """A fault that answers page `number` of the listing with these entries."""
    pagination = {"page": number, "per_page": 100, "total": total, "total_pages": total_pages}
    action = body({"data": {"resources": entries}, "pagination": pagination})
    return {"on": "list", "pages": [number], "action": action}


DISAGREEMENTS = {
    "an empty page at the end": ((100, 0), 101, 2, 100, "online; the API counts 1 more than it lists"),
    "an empty page at the top": ((0, 100), 200, 2, 100, "online; the API counts 100 more than it lists"),
    "too few pages": ((100, 20, 0), 120, 1, 120, "online"),
}


@pytest.mark.parametrize("disagreement", DISAGREEMENTS.values(), ids=DISAGREEMENTS)
@pytest.mark.may_warn(r"the API counts \d+ resources and lists \d+$")
def test_pages_that_disagree_with_their_counts(
    sandbox: Sandbox, mount: Mount, disagreement: tuple[tuple[int, ...], int, int, int, str]
) -> None:
    """What is there is shown, beside a page that is always empty and behind the last one by its word."""
    pages, total, total_pages, shown, said = disagreement
    for number in range(120):
        sandbox.put(f"{number}.txt", b"x")
    entries = sandbox.listing()
    faults = []
    for number, count in enumerate(pages, 1):
        faults.append(paged(entries[:count], number, total, total_pages))
        entries = entries[count:]
    sandbox.plan(faults=faults)
    with mount("--refresh", "1000") as mounted:
        assert len(mounted.names()) == shown
        assert state(mounted) == said
        reload(mounted)
        assert (len(mounted.names()), state(mounted)) == (shown, said)
        assert len(warnings(mounted)) == (shown != total)


LEFT_OUT: dict[str, dict[str, Any]] = {
    "each is the first": {"page": 1},
    "no numbers": {"page": None},
    "no total": {"total": None},
    "no number of pages": {"total_pages": None},
    "nothing": {"page": None, "total": None, "total_pages": None},
}


@pytest.mark.warns(
    "the API lists 120 resources, and does not say how many there are",
    "the API does not number the pages of its listing",
)
def test_pages_that_do_not_say_what_they_are(sandbox: Sandbox, mount: Mount) -> None:
    """All that an API lists is shown, with a warning, though it leaves out a part of its pagination."""
    for number in range(120):
        sandbox.put(f"{number}.txt", b"x")
    entries = sandbox.listing()

    def saying(said: dict[str, Any], kept: Entries) -> None:
        faults = []
        for number in (1, 2):
            right = {"page": number, "per_page": 100, "total": len(kept), "total_pages": 2}
            pagination = {name: value for name, value in {**right, **said}.items() if value is not None}
            answer = {
                "data": {"resources": kept[number * 100 - 100 : number * 100]},
                "pagination": pagination,
            }
            faults.append({"on": "list", "pages": [number], "action": body(answer)})
        sandbox.plan(faults=faults)

    saying(LEFT_OUT["nothing"], entries)
    with mount("--refresh", "1000") as mounted:
        assert len(mounted.names()) == 120
        assert len(warnings(mounted)) == 2
        for said in LEFT_OUT.values():
            saying(said, entries)
            reload(mounted)
            assert (len(mounted.names()), state(mounted)) == (120, "online")
        saying(LEFT_OUT["nothing"], entries[1:])
        reload(mounted)
        assert (len(mounted.names()), state(mounted)) == (119, "online")


@pytest.mark.warns(
    "its updated_at is not a date .1 shown with another date",
    "its updated_at is not a date .1 shown as last read",
)
def test_dates_that_were_never_read(project: Sandbox, mount: Mount) -> None:
    """A file whose date cannot be read at first is shown by that of its creation, and the state says so."""
    project.override({"00.bin": {"updated_at": "yesterday", "created_at": MTIME - 9}})
    with mount("--refresh", "1000") as mounted:
        assert (mounted / "00.bin").stat().st_mtime == MTIME - 9
        assert state(mounted) == "degraded: 1 entry of the listing cannot be read"
        (warning,) = warnings(mounted)
        assert "its updated_at is not a date (1 shown with another date)" in warning
        assert (mounted / "00.bin").read_bytes() == noise(100, 100)
        project.override({})
        reload(mounted)
        assert (mounted / "00.bin").stat().st_mtime == MTIME
        project.override({"00.bin": {"updated_at": "yesterday", "created_at": MTIME - 9}})
        reload(mounted)
        assert (mounted / "00.bin").stat().st_mtime == MTIME


def doctor(sandbox: Sandbox) -> subprocess.CompletedProcess[str]:
    wanted = environment(EMPIRICALRUN_KEY=KEY)
    return empirical_mount("--doctor", "--api-url", sandbox.url, env=wanted, check=False)


def test_the_doctor_sees_it(project: Sandbox) -> None:
    """The doctor warns of entries that cannot be read, and of a project that would not be mounted."""
    project.override({"00.bin": {"size_bytes": "x"}})
    assert f"1 of the {COUNT} entries of the first page cannot be read" in doctor(project).stdout
    project.override({name: {"size_bytes": "x"} for name in SIZES})
    done = doctor(project)
    assert done.returncode == 1
    assert f"FAILED   API               {project.url}: {COUNT} of the {COUNT} entries" in done.stdout
