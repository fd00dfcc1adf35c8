"""What the doctor makes of what it saw: verdicts, and what to do about them; pure, no I/O."""

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
PATIENCE_MAX = 10.0
"""Seconds that one check takes at most."""

_SKEW_MAX = 60.0
"""Seconds; as much as is left unused of a signed URL's life at most (signed_urls.py)."""
_DATE_RESOLUTION = 1.0
_NAME_WIDTH, _VERDICT_WIDTH = 16, 7
_MINUTE, _HOUR = 60, 3600
_PRUNEFS = re.compile(r"""\s*PRUNEFS\s*=\s*(?P<quote>["']?)(?P<names>[^"'#]*)(?P=quote)\s*(?:#.*)?""")
_IN_TROUBLE = "it answers, and is in trouble itself: try again in a while"


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """It can be mounted, and something will not be as it should."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be looked at before something else is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw, in a line, and what to do about it; neither holds a key or a signed URL."""

    name: str
    verdict: Verdict
    seen: str
    advice: str | None = None
    """None where there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The first page of the listing, and when it was asked for and there; in seconds since the epoch."""

    page: Page
    asked_at: float
    answered_at: float
    seconds: float
    """How long it took, by a clock that nobody sets."""


def ok(name: str, seen: str) -> Finding:
    """All is well."""
    return Finding(name, Verdict.OK, seen)


def of_error(name: str, error: EmpiricalError, advice: str) -> Finding:
    """It failed; `advice` stands in where the error does not say what to do."""
    seen, said = (" ".join(text.split()) for text in (error.what, error.advice or advice))
    return Finding(name, Verdict.FAILED, seen, said)


def skipped(names: Iterable[str], first: str) -> Iterable[Finding]:
    """What cannot be looked at before `first` is well."""
    return (
        Finding(name, Verdict.SKIPPED, f"not without the {first}", f"see to the {first} first")
        for name in names
    )


def sources(given: Mapping[str, str]) -> str:
    """Who gave which setting, without those that nobody gave."""
    return (
        ", ".join(f"{'the key' if name == 'key_file' else name} by {each}" for name, each in given.items())
        or "the defaults"
    )


def lines(finding: Finding) -> Iterable[str]:
    """A finding for people."""
    verdict = finding.verdict.upper() if finding.verdict is Verdict.FAILED else finding.verdict
    yield printable(f"{verdict:<{_VERDICT_WIDTH}}  {finding.name:<{_NAME_WIDTH}}  {finding.seen}")
    if finding.advice is not None:
        yield printable(f"{'':<{_VERDICT_WIDTH}}  {finding.advice}")


def allows_others(fuse_conf: str) -> bool:
    """Whether the text of /etc/fuse.conf has `user_allow_other`, as fusermount reads it (mount.fuse(8))."""
    return any(line.partition("#")[0].strip() == "user_allow_other" for line in fuse_conf.split("\n"))


def pruned_types(updatedb_conf: str) -> frozenset[str]:
    """The types of file systems that PRUNEFS names, in lower case, as updatedb compares them."""
    matches = map(_PRUNEFS.fullmatch, updatedb_conf.split("\n"))
    return frozenset(name.lower() for match in matches if match for name in match["names"].split())


def skew(server_time: float, asked_at: float, answered_at: float) -> float:
    """The seconds by which a server's clock is ahead of ours for certain, negative if it is behind.

    `server_time` is from a Date header, in whole seconds, made somewhere between `asked_at` and
    `answered_at` on our clock.
    """
    return max(server_time - answered_at, 0.0) + min(server_time + _DATE_RESOLUTION - asked_at, 0.0)


def of_others(*, is_allowed: bool | None, is_asked: bool, is_root: bool) -> Finding:
    """On `user_allow_other`: whether it is in the file, None if that cannot be read; and who asks for it."""
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
    """On how many FUSE mounts there are, and how many there may be for users to add one."""
    name, seen = "mount_max", f"{count} FUSE mounts of {most} at most"
    if is_root or count < most:
        return ok(name, f"{seen} for users")
    return Finding(name, Verdict.FAILED, seen, "unmount some, or raise mount_max = N in /etc/fuse.conf")


def of_confinement(place: Path | None, around: Surroundings) -> Finding:
    """On AppArmor's profile of fusermount, and SELinux; a mount is to come to `place`, if that is given."""
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
    """On the key from `source`, by what the API said to it."""
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
    """On the API at `url`, which `source` has said."""
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
    """On our clock beside the API's."""
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
    """On the store at `host`; `fetched` is what came from it."""
    if not isinstance(fetched, EmpiricalError):
        return ok(STORE, f"{host}: {fetched}")
    match fetched:
        case ContentChanged():
            advice = "run this again; if it stays so, upload that file again, or find out who answers instead"
        case UrlRefused():
            advice = "see to the clock first; a proxy that changes URLs would do this too"
        case UnsafeUrl():
            advice = "ask who runs the API: it gives URLs that must not be fetched"
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
    """What to do where a server gave no answer; `unreached`, if nothing at all came from it."""
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
