"""The whole listing from its pages, although resources come and go while it is read.

Only `fetch_pages` touches the network, and it is handed in; the rest is policy.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from empirical_fs.api.pages import IN_FLIGHT, Page
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.errors import ApiUnavailable, NotTheApi
from empirical_fs.work.progress import Progress, unseen

PAGES_MAX = 100_000
_PASSES_MAX = 6
_AT_LEISURE = 2
"""Requests at once, at least, where nobody waits for the listing."""


FetchPages = Callable[[Iterable[int], int], Iterable[Page]]
"""The pages of these numbers, in their order, so many asked for at once; it may raise ApiError."""

Leisure = Callable[[], float]
"""How many seconds a pass may take, as of now; 0 where somebody waits for the listing."""


def in_a_hurry() -> float:
    """The leisure of a listing that is waited for."""
    return 0.0


def at_once(pages: int, page_seconds: float, leisure: float) -> int:
    """How many pages to ask for at once, so that `pages` of them arrive within `leisure` seconds.

    Threads that read pages compete with those that answer the kernel, which have a turn the sooner the fewer
    there are.
    """
    if leisure <= 0:
        return IN_FLIGHT
    return math.ceil(min(max(pages * page_seconds / leisure, _AT_LEISURE), IN_FLIGHT))


@dataclass(frozen=True, slots=True)
class Listing:
    """Every uploaded resource once, and the entries that could not be read."""

    resources: tuple[Resource, ...]
    malformed: tuple[Malformed, ...]
    absent: frozenset[int] = frozenset()
    """The ids of entries of which the API says that they are not uploaded."""
    counted: int = 0
    """How many entries there are by the API's own count, the largest that it gave."""
    listed: int = 0
    """How many entries were listed, of whatever kind, each id once."""

    server_time: float = math.inf
    """The server's clock as it began to answer, or ours if it does not tell; seconds since the epoch."""

    @property
    def gap(self) -> int:
        """How many entries the API counts more than it lists; below 0 where it lists more than it counts."""
        return self.counted - self.listed


@dataclass(frozen=True, slots=True)
class _Pass:
    """The pages of one pass over the listing, in order."""

    pages: Sequence[Page]

    def ids(self) -> list[int | None]:
        return [identity for page in self.pages for identity in page.ids]

    def known_ids(self) -> list[int]:
        return [identity for identity in self.ids() if identity is not None]

    def is_sound(self) -> bool:
        """Whether nothing moved: no id twice, one total on every page, and as many entries as it says."""
        known = self.known_ids()
        totals = {(page.total, page.total_pages) for page in self.pages}
        return len(set(known)) == len(known) and totals == {(len(self.ids()), self.pages[0].total_pages)}

    def is_gappy(self) -> bool:
        """Whether a page is empty although the API counts resources."""
        return any(page.total and not page.ids for page in self.pages)

    def agrees_with(self, other: "_Pass") -> bool:
        """Whether both saw the same entries in the same places."""
        return [(page.ids, page.total) for page in self.pages] == [
            (page.ids, page.total) for page in other.pages
        ]


def fetch_listing(
    fetch_pages: FetchPages, progress: Progress = unseen, leisure: Leisure = in_a_hurry
) -> Listing:
    """Every uploaded resource, none twice and none missed, as long as new ones come in at the top.

    Page 1 comes first, the others side by side. If anything moved meanwhile, the pages are fetched
    again, without leisure. Two passes that agree are believed although the API's own count differs, and as
    many as there may be where a page was empty (what was listed before may speak against them:
    last_good.py). If it never comes to rest, all that any pass saw is taken together, provided that nothing
    can be missing by the API's own count.

    Raises:
        ApiUnavailable: the listing moved too fast, or is empty although the API counts resources; or as
            `fetch_pages` raises.
        NotTheApi: the number of pages is beyond belief; or as `fetch_pages` raises.
    """
    passes: list[_Pass] = []
    while len(passes) < _PASSES_MAX:
        each = _fetch_once(fetch_pages, progress, in_a_hurry if passes else leisure)
        if each.is_sound():
            return _combined([each])
        if passes and each.agrees_with(passes[-1]) and not each.is_gappy():
            return _combined([each])
        passes.append(each)
    if all(each.agrees_with(passes[0]) for each in passes):
        if passes[0].ids():
            return _combined(passes[:1])
        raise ApiUnavailable(f"the API counts {passes[0].pages[0].total} resources and lists none")
    union = {identity for each in passes for identity in each.ids()}
    if len(union) < min(page.total for page in passes[-1].pages):
        raise ApiUnavailable("the listing changed too fast to be read whole")
    return _combined(passes)


def _fetch_once(fetch_pages: FetchPages, progress: Progress, leisure: Leisure) -> _Pass:
    begin = time.monotonic()
    (first,) = fetch_pages([1], 1)
    page_seconds = time.monotonic() - begin
    last = first.total_pages
    if last > PAGES_MAX:
        raise NotTheApi(f"the API claims {last} pages")
    pages = [first]
    progress(1, max(last, 1))
    # Behind several empty pages there is nothing, whatever number of pages the API claims.
    while len(pages) < last and (len(pages) < IN_FLIGHT or any(page.ids for page in pages[-IN_FLIGHT:])):
        number = len(pages) + 1
        numbers = range(number, min(number + IN_FLIGHT * 4, last + 1))
        spare = leisure() - (time.monotonic() - begin)
        for page in fetch_pages(numbers, at_once(last - len(pages), page_seconds, spare)):
            pages.append(page)
            progress(len(pages), last)
    _go_beyond(fetch_pages, pages)
    return _Pass(pages)


def _go_beyond(fetch_pages: FetchPages, pages: list[Page]) -> None:
    """Add the pages that the API has though its number of pages ends before its number of resources."""
    seen = {identity for page in pages for identity in page.ids}
    listed = sum(len(page.ids) for page in pages)
    while listed < pages[0].total and len(pages[-1].ids) >= pages[-1].per_page and len(pages) < PAGES_MAX:
        try:
            (page,) = fetch_pages([len(pages) + 1], 1)
        except NotTheApi:
            return  # the API refuses what is beyond its last page
        if seen.issuperset(page.ids):
            return
        seen.update(page.ids)
        listed += len(page.ids)
        pages.append(page)


def _combined(passes: Sequence[_Pass]) -> Listing:
    pages = [page for each in passes for page in each.pages]
    server_time = next((page.server_time for page in pages if page.server_time is not None), time.time())
    resources: dict[int, Resource] = {}
    malformed: dict[int, Malformed] = {}
    for page in pages:
        for resource in page.resources:
            known = resources.get(resource.id)
            if known is None or known.updated_ns <= resource.updated_ns:
                resources[resource.id] = resource
        malformed |= {error.resource_id: error for error in page.malformed if error.resource_id is not None}
    last = passes[-1]
    # Nobody can tell whether two passes saw the same entry, if it has no id.
    without_id = [error for page in last.pages for error in page.malformed if error.resource_id is None]
    known_ids = {identity for each in passes for identity in each.known_ids()}
    listed = len(known_ids) + last.ids().count(None)
    return Listing(
        resources=tuple(resources.values()),
        malformed=(*malformed.values(), *without_id),
        absent=frozenset(each for each in known_ids if each not in resources and each not in malformed),
        counted=max(page.total for page in last.pages),
        listed=listed,
        server_time=server_time,
    )
