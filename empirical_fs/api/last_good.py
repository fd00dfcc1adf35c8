"""What is shown of the project after a listing, part of which may be missing or impossible to read.

What cannot be read is not deleted: a program that mirrors the directory would delete it too. Policy without
I/O: the listing before and the new one go in, what to show and what to say comes out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from empirical_fs.api.listing import Listing
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.errors import ApiUnavailable, SetupError

_KEPT, _DATED_OTHERWISE, _LEFT_OUT = "shown as last read", "shown with another date", "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the project."""

    shown: Mapping[int, Resource] = field(default_factory=dict)
    """The resources to show, by their ids."""
    makeshift: frozenset[int] = frozenset()
    """The ids of those shown that were never read whole: their dates may be wrong."""
    unreadable: int = 0
    """How many entries of the last listing could not be read."""
    kept: int = 0
    """How many of these entries are shown as they were last."""
    strangers: int = 0
    """How many unreadable entries may stand for any file, and did so when the listing was believed."""
    gap: int = 0
    """How many entries the API counts more than it lists."""
    usual_gap: int = 0
    """The largest gap that it has had twice in a row, or from the first listing on."""
    lists_more: bool = False
    """Whether it has listed more than it counts twice in a row, or from the first listing on."""
    is_counted: bool = True
    """Whether the API said how many entries there are."""
    counts_nothing: bool = False
    """Whether it has not done so twice in a row, or from the first listing on."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with the listing, a line for each kind of trouble; nothing in it is the API's text."""


def at_first(listing: Listing) -> Known:
    """What is known by the first listing of a mount.

    Raises:
        SetupError: it has entries that cannot be read, and nothing else that could be shown.
    """
    known = after(listing, Known(gap=listing.gap, is_counted=listing.counted is not None))
    if known.unreadable and not known.shown:
        raise SetupError(
            f"none of the {known.unreadable} resources that the API lists can be read"
            f" ({listing.malformed[0].reason})",
            advice="look for a newer release of empirical-fs, or tell who runs the API",
        )
    return known


def after(listing: Listing, before: Known) -> Known:
    """What is known by a listing that follows on what was known `before`.

    An entry that cannot be read keeps the last good version of its resource, which is found by its id, or by
    its name where it has no id that can be read. An entry that is found by neither may stand for any file: as
    long as there are more of these than there were, no file that is not listed goes away. Only entries that
    say that their resource is not uploaded, and those that the API lists no more, let a file go.

    Raises:
        ApiUnavailable: the listing is cut short, or of another project. Files are not in it that were there
            before, and the API's own count speaks against it as it did not before.
    """
    gathering = _Gathering(listing, before)
    lost = gathering.lost()
    if lost and _is_cut(listing, before):
        raise ApiUnavailable(
            f"the listing is cut short: {_count_of(listing)},"
            f" without {len(lost)} of the files that were there"
        )
    if lost and _is_of_another_project(listing, before):
        raise ApiUnavailable("the listing is of another project than before, with none of its files")
    strangers = gathering.strangers
    suspects = lost if strangers > before.strangers else []
    gathering.keep(suspects)
    unreadable = len(listing.malformed) + gathering.undated
    is_steady, is_counted = listing.gap == before.gap, listing.counted is not None
    return Known(
        shown=gathering.shown,
        makeshift=frozenset(gathering.makeshift),
        unreadable=unreadable,
        # One such entry may have several files kept, any of which it may stand for.
        kept=min(gathering.kept + len(suspects), unreadable),
        # While files are kept because of them, they are still news.
        strangers=before.strangers if suspects else strangers,
        gap=listing.gap,
        usual_gap=listing.gap if is_steady or listing.gap < before.usual_gap else before.usual_gap,
        lists_more=listing.gap < 0 and (is_steady or before.lists_more),
        is_counted=is_counted,
        counts_nothing=before.counts_nothing or not (is_counted or before.is_counted),
        troubles=_of_count(listing) | gathering.troubles() | _of_suspects(strangers, suspects),
    )


def _is_cut(listing: Listing, before: Known) -> bool:
    """Whether the API's own count says otherwise than its listing, as it has not done before."""
    if listing.counted is None:
        return not before.counts_nothing
    if listing.gap < 0:
        return not before.lists_more
    return listing.gap > max(before.usual_gap, 0)


def _is_of_another_project(listing: Listing, before: Known) -> bool:
    """Whether nothing of it was known before, and all belongs to other projects: a key has one (api.md)."""
    if any(resource.id in before.shown for resource in listing.resources):
        return False
    ours = {each.project_id for each in before.shown.values()}
    theirs = {each.project_id for each in listing.resources}
    return bool(theirs) and None not in ours | theirs and not ours & theirs


class _Gathering:
    """Puts together what is to be shown."""

    def __init__(self, listing: Listing, before: Known) -> None:
        self.shown = {resource.id: resource for resource in listing.resources}
        self.makeshift: set[int] = set()
        self.strangers = 0
        self.kept = 0
        self._listing = listing
        self._before = before
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._first: dict[str, Malformed] = {}
        self.undated = self._keep_dates()
        for error in listing.malformed:
            if error.resource_id is not None:
                self._count(error, self._with_id(error, error.resource_id))
        # Only now is it known which files are not listed by their ids.
        lost: dict[str, list[int]] = {}
        for resource_id in self.lost():
            lost.setdefault(before.shown[resource_id].name, []).append(resource_id)
        for error in listing.malformed:
            if error.resource_id is None:
                self._count(error, self._without_id(error, lost))

    def lost(self) -> list[int]:
        """The ids of the files that were there and are not, though no entry says that they are gone."""
        gone = self._listing.absent
        return [each for each in self._before.shown if each not in self.shown and each not in gone]

    def keep(self, ids: Sequence[int]) -> None:
        """Show these as before."""
        for resource_id in ids:
            self.shown[resource_id] = self._before.shown[resource_id]
            if resource_id in self._before.makeshift:
                self.makeshift.add(resource_id)

    def troubles(self) -> dict[str, str]:
        """A line for each reason for which entries cannot be read: how many, and which is the first."""
        lines = {}
        for reason, first in self._first.items():
            outcomes = {each: self._outcomes[reason, each] for each in (_KEPT, _DATED_OTHERWISE, _LEFT_OUT)}
            others = sum(outcomes.values()) - 1
            more = f" and {others} more of the listing" if others else ""
            came = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
            lines[reason] = f"{first.who}{more} cannot be read: {reason} ({came})"
        if self.undated:
            lines["dates"] = f"resources have lost their updated_at: {self.undated}, shown with those before"
        return lines

    def _count(self, error: Malformed, outcome: str) -> None:
        self._first.setdefault(error.reason, error)
        self._outcomes[error.reason, outcome] += 1
        self.kept += outcome == _KEPT

    def _with_id(self, error: Malformed, resource_id: int) -> str:
        if resource_id in self.shown:
            return _LEFT_OUT
        was_shown = resource_id in self._before.shown
        if error.makeshift is not None and (not was_shown or resource_id in self._before.makeshift):
            # A resource that was never read whole has no last good version, and is to follow what changes.
            self.shown[resource_id] = error.makeshift
            self.makeshift.add(resource_id)
            return _DATED_OTHERWISE
        if was_shown:
            self.keep([resource_id])
            return _KEPT
        self.strangers += 1
        return _LEFT_OUT

    def _keep_dates(self) -> int:
        """Keep the dates that were there before and are not now; how many."""
        before = self._before.shown
        undated = [each for each in self._listing.resources if not each.is_dated and each.id in before]
        lost = [each for each in undated if before[each.id].is_dated]
        for each in lost:
            self.shown[each.id] = replace(each, updated_ns=before[each.id].updated_ns, is_dated=True)
        self.kept += len(lost)
        return len(lost)

    def _without_id(self, error: Malformed, lost: dict[str, list[int]]) -> str:
        if error.name is None or error.name not in lost:
            self.strangers += 1
            return _LEFT_OUT
        # Of several resources with that name nobody can tell which one it is, so none goes away.
        self.keep(lost[error.name])
        lost[error.name] = []
        return _KEPT


def _count_of(listing: Listing) -> str:
    if listing.counted is None:
        return f"the API lists {listing.listed} resources, and does not say how many there are"
    return f"the API counts {listing.counted} resources and lists {listing.listed}"


def _of_count(listing: Listing) -> dict[str, str]:
    lines = {} if listing.counted == listing.listed else {"count": _count_of(listing)}
    if not listing.is_numbered:
        lines["numbers"] = "the API does not number the pages of its listing, which are shown as they came"
    return lines


def _of_suspects(strangers: int, suspects: Sequence[int]) -> dict[str, str]:
    if not suspects:
        return {}
    return {
        "suspects": f"files that are listed no more are shown as last read: {len(suspects)}, for which any of"
        f" the unreadable entries of unknown files may stand: {strangers}"
    }
