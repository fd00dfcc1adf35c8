"""Decides which resources to show after a listing that may be incomplete or partly unreadable.

A resource whose entry cannot be read is still shown: if it vanished, a program that mirrors the directory
would delete its copy. Policy without I/O: from the previous state and the new listing it computes the
resources to show and the troubles to report.
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
    """The state of the project after a listing."""

    shown: Mapping[int, Resource] = field(default_factory=dict)
    """The resources to show, by id."""
    makeshift: frozenset[int] = frozenset()
    """The ids of shown resources whose entry was never fully readable: their dates may be wrong."""
    unreadable: int = 0
    """How many entries of the last listing could not be read."""
    kept: int = 0
    """How many of these entries are shown as they were last read."""
    strangers: int = 0
    """How many unreadable entries matched no file, in the last listing where none was kept due to them."""
    gap: int = 0
    """How many entries the API counts beyond those that it lists."""
    usual_gap: int = 0
    """The largest gap that two listings in a row, or the first listing, have had."""
    lists_more: bool = False
    """Whether two listings in a row, or the first, had more entries than the API counts."""
    is_counted: bool = True
    """Whether the API gave a count of its entries."""
    counts_nothing: bool = False
    """Whether two listings in a row, or the first, came without a count."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with the listing, a line for each kind of trouble; no line quotes the API."""


def at_first(listing: Listing) -> Known:
    """The state after the first listing of a mount.

    Raises:
        SetupError: it has unreadable entries, and none that can be shown.
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
    """The state after a listing; `before` is the state before it.

    For an unreadable entry the last good version of its resource stays, which is found by the entry's id, or
    by its name if the id is unreadable. An entry that is found by neither could be any file: while there are
    more of these than before, no unlisted file is removed. A file is removed only if its entry says that it
    is not uploaded, or if the API no longer lists it.

    Raises:
        ApiUnavailable: files are missing from the listing, and either the API's own count contradicts it in a
            way that is new (it is cut short), or it is of another project.
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
        # One such entry may keep several files, since it could be any of them.
        kept=min(gathering.kept + len(suspects), unreadable),
        # While files are kept because of them, they still count as new.
        strangers=before.strangers if suspects else strangers,
        gap=listing.gap,
        usual_gap=listing.gap if is_steady or listing.gap < before.usual_gap else before.usual_gap,
        lists_more=listing.gap < 0 and (is_steady or before.lists_more),
        is_counted=is_counted,
        counts_nothing=before.counts_nothing or not (is_counted or before.is_counted),
        troubles=_of_count(listing) | gathering.troubles() | _of_suspects(strangers, suspects),
    )


def _is_cut(listing: Listing, before: Known) -> bool:
    """Whether the API's own count contradicts its listing in a way that it did not before."""
    if listing.counted is None:
        return not before.counts_nothing
    if listing.gap < 0:
        return not before.lists_more
    return listing.gap > max(before.usual_gap, 0)


def _is_of_another_project(listing: Listing, before: Known) -> bool:
    """Whether all resources are new and of other projects: a key belongs to one project (api.md)."""
    if any(resource.id in before.shown for resource in listing.resources):
        return False
    ours = {each.project_id for each in before.shown.values()}
    theirs = {each.project_id for each in listing.resources}
    return bool(theirs) and None not in ours | theirs and not ours & theirs


class _Gathering:
    """Collects the resources to show."""

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
        # All readable ids have been handled, so the files that are left are the missing ones.
        lost: dict[str, list[int]] = {}
        for resource_id in self.lost():
            lost.setdefault(before.shown[resource_id].name, []).append(resource_id)
        for error in listing.malformed:
            if error.resource_id is None:
                self._count(error, self._without_id(error, lost))

    def lost(self) -> list[int]:
        """The ids of files that were shown and are missing now, though no entry says "not uploaded"."""
        gone = self._listing.absent
        return [each for each in self._before.shown if each not in self.shown and each not in gone]

    def keep(self, ids: Sequence[int]) -> None:
        """Show the resources of these ids as before."""
        for resource_id in ids:
            self.shown[resource_id] = self._before.shown[resource_id]
            if resource_id in self._before.makeshift:
                self.makeshift.add(resource_id)

    def troubles(self) -> dict[str, str]:
        """A line for each reason why entries are unreadable: how many, and the first of them."""
        lines = {}
        for reason, first in self._first.items():
            outcomes = {each: self._outcomes[reason, each] for each in (_KEPT, _DATED_OTHERWISE, _LEFT_OUT)}
            others = sum(outcomes.values()) - 1
            more = f" and {others} more of the listing" if others else ""
            came = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
            lines[reason] = f"{first.who}{more} cannot be read: {reason} ({came})"
        if self.undated:
            lines["dates"] = f"resources have lost their updated_at: {self.undated}, shown with earlier dates"
        return lines

    def _count(self, error: Malformed, outcome: str) -> None:
        self._first.setdefault(error.reason, error)
        self._outcomes[error.reason, outcome] += 1
        self.kept += outcome == _KEPT

    def _with_id(self, error: Malformed, resource_id: int) -> str:
        """Decide what to show for an unreadable entry with an id; returns the outcome for the log."""
        if resource_id in self.shown:
            return _LEFT_OUT
        was_shown = resource_id in self._before.shown
        if error.makeshift is not None and (not was_shown or resource_id in self._before.makeshift):
            # No version of this resource was ever fully readable: show the newest, with a provisional date.
            self.shown[resource_id] = error.makeshift
            self.makeshift.add(resource_id)
            return _DATED_OTHERWISE
        if was_shown:
            self.keep([resource_id])
            return _KEPT
        self.strangers += 1
        return _LEFT_OUT

    def _keep_dates(self) -> int:
        """Keep the earlier dates of resources that have lost theirs; returns how many."""
        before = self._before.shown
        undated = [each for each in self._listing.resources if not each.is_dated and each.id in before]
        lost = [each for each in undated if before[each.id].is_dated]
        for each in lost:
            self.shown[each.id] = replace(each, updated_ns=before[each.id].updated_ns, is_dated=True)
        self.kept += len(lost)
        return len(lost)

    def _without_id(self, error: Malformed, lost: dict[str, list[int]]) -> str:
        """The same for an entry without an id; `lost` are the ids of missing files by name."""
        if error.name is None or error.name not in lost:
            self.strangers += 1
            return _LEFT_OUT
        # If several resources have this name, it could be any of them, so all are kept.
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
        "suspects": f"files that are no longer listed are shown as last read: {len(suspects)}, as any of them"
        f" may be one of the unreadable entries: {strangers}"
    }
