"""Turns what the doctor found into verdicts and advice; pure, no I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from empirical_fs.api.pages import Page
from empirical_fs.errors import (
    ApiError,
    ApiUnavailable,
    BadAnswer,
    ContentChanged,
    EmpiricalError,
    KeyRefused,
    NotTheApi,
    StoreUnavailable,
    UnsafeUrl,
    UrlRefused,
)
from empirical_fs.mount.refusals import ALLOWED_BY_PROFILE, Surroundings, is_allowed, of_profile
from empirical_fs.printing import printable
from empirical_fs.privacy import KEY_VARIABLE

KEY, API, CLOCK, STORE = "key", "API", "clock", "store"
PASSTHROUGH = "passthrough"
PATIENCE_MAX = 10.0
"""The most seconds that one check may take."""

_SKEW_MAX = 60.0
"""Seconds; the longest time before its expiry for which a signed URL stays unused (api/url_cache.py)."""
_DATE_RESOLUTION = 1.0
_NAME_WIDTH, _VERDICT_WIDTH = 16, 7
_MINUTE, _HOUR = 60, 3600
_PRUNEFS = re.compile(r"""\s*PRUNEFS\s*=\s*(?P<quote>["']?)(?P<names>[^"'#]*)(?P=quote)\s*(?:#.*)?""")
_IN_TROUBLE = "it answers, and is in trouble itself: try again in a while"


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    """A mount is possible, but something will not work as it should."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """The check needs something else that failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in a line, and what to do about it; neither has a key or a signed URL in it."""

    name: str
    verdict: Verdict
    seen: str
    advice: str | None = None
    """None if there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The first page of the listing, and when it was requested and received, in seconds since the epoch."""

    page: Page
    asked_at: float
    answered_at: float
    seconds: float
    """How long the request took, by the monotonic clock."""


def ok(name: str, seen: str) -> Finding:
    """A finding without a problem."""
    return Finding(name, Verdict.OK, seen)


def of_error(name: str, error: EmpiricalError, advice: str) -> Finding:
    """The finding for a check that failed with `error`; `advice` is used if the error has none."""
    seen, said = (" ".join(text.split()) for text in (error.what, error.advice or advice))
    return Finding(name, Verdict.FAILED, seen, said)


def skipped(names: Iterable[str], first: str) -> Iterable[Finding]:
    """Findings for checks that were skipped because `first` failed."""
    return (
        Finding(name, Verdict.SKIPPED, f"cannot be checked without the {first}", f"see to the {first} first")
        for name in names
    )


def sources(given: Mapping[str, str]) -> str:
    """The settings that were given, each with its source, in one line; `given` has sources by name."""
    return (
        ", ".join(f"{'the key' if name == 'key_file' else name} by {each}" for name, each in given.items())
        or "the defaults"
    )


def lines(finding: Finding) -> Iterable[str]:
    """The lines that show a finding to people."""
    verdict = finding.verdict.upper() if finding.verdict is Verdict.FAILED else finding.verdict
    yield printable(f"{verdict:<{_VERDICT_WIDTH}}  {finding.name:<{_NAME_WIDTH}}  {finding.seen}")
    if finding.advice is not None:
        yield printable(f"{'':<{_VERDICT_WIDTH}}  {finding.advice}")


def of_passthrough(off_because: str | None) -> Finding:
    """The finding on whether the kernel reads files of the cache by itself; no problem if it does not."""
    if off_because is not None:
        return ok(PASSTHROUGH, f"off: {off_because}")
    return ok(PASSTHROUGH, "the kernel reads files that are complete in the cache by itself")


def allows_others(fuse_conf: str) -> bool:
    """Whether the text of /etc/fuse.conf has `user_allow_other`, read as by fusermount (mount.fuse(8))."""
    return any(line.partition("#")[0].strip() == "user_allow_other" for line in fuse_conf.split("\n"))


def pruned_types(updatedb_conf: str) -> frozenset[str]:
    """The types of file systems in PRUNEFS, in lower case, as updatedb ignores case."""
    matches = map(_PRUNEFS.fullmatch, updatedb_conf.split("\n"))
    return frozenset(name.lower() for match in matches if match for name in match["names"].split())


def skew(server_time: float, asked_at: float, answered_at: float) -> float:
    """The seconds by which a server's clock is certainly ahead of ours; negative if it is behind.

    `server_time` is from a Date header, in whole seconds, which the server wrote at some moment between
    `asked_at` and `answered_at` by our clock.
    """
    return max(server_time - answered_at, 0.0) + min(server_time + _DATE_RESOLUTION - asked_at, 0.0)


def of_others(*, is_allowed: bool | None, is_asked: bool, is_root: bool) -> Finding:
    """The finding on `user_allow_other`.

    `is_allowed` is whether /etc/fuse.conf has it, None if that cannot be read; `is_asked`, whether a mount
    option needs it.
    """
    name = "user_allow_other"
    advice = "add the line user_allow_other to /etc/fuse.conf"
    if is_allowed:
        return ok(name, "is in /etc/fuse.conf")
    if not is_asked:
        return ok(name, "is not in /etc/fuse.conf; only -o allow_other would need it")
    if is_root:
        return ok(name, "is not in /etc/fuse.conf, and root does not need it")
    if is_allowed is None:
        return Finding(name, Verdict.WARNING, "/etc/fuse.conf cannot be read by you", advice)
    return Finding(name, Verdict.FAILED, "is not in /etc/fuse.conf, and -o allow_other needs it", advice)


def of_number(count: int, most: int, *, is_root: bool) -> Finding:
    """The finding on the number of FUSE mounts: users may add one only while there are fewer than `most`."""
    name, seen = "mount_max", f"{count} FUSE mounts of {most} at most"
    if is_root or count < most:
        return ok(name, f"{seen} for users")
    return Finding(name, Verdict.FAILED, seen, "unmount some, or raise mount_max = N in /etc/fuse.conf")


def of_confinement(place: Path | None, around: Surroundings) -> Finding:
    """The finding on AppArmor's profile of fusermount and on SELinux, for a mount at `place` if given."""
    name = "confinement"
    if around.is_root:
        return ok(name, "root mounts without fusermount")
    if around.has_profile:
        seen = f"AppArmor's profile fusermount3 lets users mount only below {ALLOWED_BY_PROFILE}"
        if place is None or is_allowed(place):
            return ok(name, seen)
        return Finding(name, Verdict.FAILED, f"{seen}; {place} is elsewhere", of_profile(place))
    if around.is_selinux_enforcing:
        return ok(name, "SELinux is enforcing; if a mount is refused: sudo ausearch -m avc -ts recent")
    return ok(name, "no profile of AppArmor confines fusermount")


def of_key(source: str, answered: Answered | EmpiricalError) -> Finding:
    """The finding on the key, which is from `source`, by the answer of the API to it."""
    if isinstance(answered, Answered):
        return ok(KEY, f"{source}, and the API accepts it")
    if isinstance(answered, KeyRefused):
        advice = (
            f"check {KEY_VARIABLE} or the key file; a key belongs to one project and may have been revoked:"
            " make a new one in the dashboard"
        )
        return of_error(KEY, answered, advice)
    seen = f"{source}, but the API did not say whether it accepts it"
    return Finding(KEY, Verdict.SKIPPED, seen, "see to the API first")


def of_api(url: str, answered: Answered | EmpiricalError, source: str = "--api-url") -> Finding:
    """The finding on the API at `url`; `source` is the option or variable with that URL."""
    if isinstance(answered, Answered):
        return _of_page(url, answered)
    if isinstance(answered, KeyRefused):
        return ok(API, f"{url} answers")
    match answered:
        case NotTheApi():
            advice = f"check {source}: this is not the Empirical API"
        case _:
            advice = _unavailable(answered, f"check the network, the proxy variables and {source}")
    return of_error(API, answered, advice)


def _of_page(url: str, answered: Answered) -> Finding:
    """The finding on the API, by how many entries of the first page can be read."""
    page = answered.page
    if not page.malformed:
        count = "an unknown number of" if page.total is None else page.total
        return ok(API, f"{url}: a page in {answered.seconds:.2f} s, {count} resources in all")
    seen = (
        f"{url}: {len(page.malformed)} of the {len(page.ids)} entries of the first page cannot be read:"
        f" {page.malformed[0].reason}"
    )
    can_be_shown = any(error.makeshift is not None for error in page.malformed)
    verdict = Verdict.WARNING if page.resources or can_be_shown else Verdict.FAILED
    return Finding(API, verdict, seen, "look for a newer release of empirical-fs, or tell who runs the API")


def of_clock(answered: Answered | EmpiricalError) -> Finding:
    """The finding on our clock, compared with the API's."""
    if not isinstance(answered, Answered):
        seen, advice = "the API did not answer with its time", "see to the key and the API first"
        return Finding(CLOCK, Verdict.SKIPPED, seen, advice)
    server_time = answered.page.server_time
    if server_time is None:
        return Finding(CLOCK, Verdict.SKIPPED, "the API does not say what time it is")
    ahead = skew(server_time, answered.asked_at, answered.answered_at)
    if abs(ahead) <= _SKEW_MAX:
        return ok(CLOCK, f"within {_duration(max(abs(ahead), _DATE_RESOLUTION))} of the API's")
    seen = f"{_duration(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} the API's"
    advice = (
        "set it: sudo timedatectl set-ntp true; if the API's is the wrong one, tell who runs it: a store"
        " refuses URLs that are signed for another time"
    )
    return Finding(CLOCK, Verdict.WARNING, seen, advice)


def of_store(host: str, fetched: str | EmpiricalError) -> Finding:
    """The finding on the store at `host`; `fetched` describes what it sent, or is the error."""
    if not isinstance(fetched, EmpiricalError):
        return ok(STORE, f"{host}: {fetched}")
    match fetched:
        case ContentChanged():
            advice = (
                "run this again; if the error stays, upload that file again, or find out what answers instead"
            )
        case UrlRefused():
            advice = "see to the clock first; a proxy that changes URLs would do this too"
        case UnsafeUrl():
            advice = "tell who runs the API: it sends URLs that must not be fetched"
        case ApiError():
            advice = "see to the API first: it did not sign the URL again"
        case BadAnswer():
            advice = "something may answer in its place: check the proxy variables, and for a sign-in page"
        case _:
            advice = _unavailable(
                fetched, f"let this machine reach {host} by https: check the network and the proxy variables"
            )
    found = of_error(STORE, fetched, advice)
    return found if host in found.seen else replace(found, seen=f"{host}: {found.seen}")


def _unavailable(error: EmpiricalError, unreached: str) -> str:
    """What to do if a server answered with an error of its own; if it did not answer at all, `unreached`."""
    match error:
        case ApiUnavailable(silent=None) | StoreUnavailable(silent=None):
            return _IN_TROUBLE
        case _:
            return unreached


def _duration(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"
