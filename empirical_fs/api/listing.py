"""Reads the whole listing page by page, although resources are added and deleted meanwhile.

Only `fetch_pages`, a parameter, uses the network; the rest is policy.
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
"""The least number of parallel requests when no caller waits for the listing."""


FetchPages = Callable[[Iterable[int], int], Iterable[Page]]
"""Fetches the pages of these numbers in order, with so many requests in parallel; may raise ApiError."""

Leisure = Callable[[], float]
"""How many seconds a pass may take, as of now; 0 if a caller waits for the listing."""


def in_a_hurry() -> float:
    """The leisure of a listing that a caller waits for: none."""
    return 0.0


def at_once(pages: int, page_seconds: float, leisure: float) -> int:
    """How many requests to make in parallel, so that `pages` pages arrive within `leisure` seconds.

    Fewer is better: threads that read pages compete for the CPU with those that answer the kernel.
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
    """The ids of entries that the API lists as not uploaded."""
    counted: int | None = 0
    """The number of entries by the API's own count, the largest that it gave; None if it gave none."""
    listed: int = 0
    """How many entries of any kind were listed; each id counts once."""
    is_numbered: bool = True
    """Whether the API gave each page the number that was asked for."""
    server_time: float = math.inf
    """The time of the first answer by the server's clock, else by ours, in seconds since the epoch."""

    @property
    def gap(self) -> int:
        """How many more entries the API counts than it lists; negative if it lists more."""
        return 0 if self.counted is None else self.counted - self.listed


@dataclass(frozen=True, slots=True)
class _Pass:
    """The pages of one pass over the listing, in order."""

    pages: Sequence[Page]

    def ids(self) -> list[int | None]:
        return [identity for page in self.pages for identity in page.ids]

    def known_ids(self) -> list[int]:
        return [identity for identity in self.ids() if identity is not None]

    def is_sound(self) -> bool:
        """Whether nothing moved: no id twice, the same total on every page, and as many entries as that.

        Without a total only a single short page is sound by itself: an entry that is deleted from a page that
        was read already moves another one there unseen.
        """
        first, known = self.pages[0], self.known_ids()
        if len(set(known)) < len(known):
            return False
        if any((page.total, page.total_pages) != (first.total, first.total_pages) for page in self.pages):
            return False
        if first.total is None:
            return len(self.pages) == 1 and len(first.ids) < first.per_page
        return first.total == len(self.ids())

    def is_gappy(self) -> bool:
        """Whether a page is empty although the API counts resources, or although other pages follow it."""
        counts = any(page.total and not page.ids for page in self.pages)
        return counts or any(page.total is None and not page.ids for page in self.pages[:-1])

    def contradicts_itself(self) -> bool:
        """Whether pages share entries, and the API's totals or page numbers are missing."""
        if all(page.total is not None and page.is_numbered for page in self.pages):
            return False
        each = sum(len({identity for identity in page.ids if identity is not None}) for page in self.pages)
        return len(set(self.known_ids())) < each

    def agrees_with(self, other: "_Pass") -> bool:
        """Whether both passes saw the same entries in the same places."""
        return [(page.ids, page.total) for page in self.pages] == [
            (page.ids, page.total) for page in other.pages
        ]


def fetch_listing(
    fetch_pages: FetchPages, progress: Progress = unseen, leisure: Leisure = in_a_hurry
) -> Listing:
    """Every uploaded resource, none twice and none missed, as long as new ones are added at the top.

    Page 1 is fetched first, the others in parallel. If anything moved meanwhile, all pages are fetched again,
    without leisure, up to six times. Two passes in a row that agree are accepted even if the API's own count
    differs; if a page was empty, all six must agree (last_good.py may still reject them because of the
    previous listing). If the listing never settles, the union of all passes is taken, provided that by the
    API's own count nothing can be missing.

    If the API does not count its resources or number its pages, the pages themselves must show that they are
    complete: each has different entries, the last one is not full, and a second pass brings the same.

    Raises:
        ApiUnavailable: the listing changed too fast, or is empty although the API counts resources; or as
            `fetch_pages` raises.
        NotTheApi: the number of pages is absurd, or nothing shows that the pages are complete; or as
            `fetch_pages` raises.
    """
    passes: list[_Pass] = []
    while len(passes) < _PASSES_MAX:
        each = _fetch_once(fetch_pages, progress, in_a_hurry if passes else leisure)
        if each.is_sound():
            return _combined([each])
        is_doubtful = each.is_gappy() or each.contradicts_itself()
        if passes and each.agrees_with(passes[-1]) and not is_doubtful:
            return _combined([each])
        passes.append(each)
    if passes[-1].contradicts_itself():
        raise NotTheApi("the API's pagination contradicts itself")
    if all(each.agrees_with(passes[0]) for each in passes):
        if passes[0].ids():
            return _combined(passes[:1])
        raise ApiUnavailable(f"the API counts {passes[0].pages[0].total} resources and lists none")
    union = {identity for each in passes for identity in each.ids()}
    if any(page.total is None or page.total > len(union) for page in passes[-1].pages):
        raise ApiUnavailable("the listing changed too fast to be read whole")
    return _combined(passes)


def _fetch_once(fetch_pages: FetchPages, progress: Progress, leisure: Leisure) -> _Pass:
    """Make one pass over all pages; the first page says how many there are."""
    begin = time.monotonic()
    (first,) = fetch_pages([1], 1)
    page_seconds = time.monotonic() - begin
    last = 1 if first.last_number is None else first.last_number
    if last > PAGES_MAX:
        raise NotTheApi(f"the API claims {last} pages")
    pages = [first]
    progress(1, max(last, 1))
    # After IN_FLIGHT empty pages in a row, stop, whatever number of pages the API claims.
    while len(pages) < last and (len(pages) < IN_FLIGHT or any(page.ids for page in pages[-IN_FLIGHT:])):
        number = len(pages) + 1
        numbers = range(number, min(number + IN_FLIGHT * 4, last + 1))
        spare = leisure() - (time.monotonic() - begin)
        for page in fetch_pages(numbers, at_once(last - len(pages), page_seconds, spare)):
            pages.append(page)
            progress(len(pages), last)
    _go_beyond(fetch_pages, pages, progress)
    return _Pass(pages)


def _go_beyond(fetch_pages: FetchPages, pages: list[Page], progress: Progress) -> None:
    """Add further pages if the API's number of pages is too small for its number of resources.

    Also if it gives neither number.

    Raises:
        NotTheApi: the pages do not end.
    """
    first = pages[0]
    seen = {identity for page in pages for identity in page.ids}
    listed = sum(len(page.ids) for page in pages)
    while len(pages[-1].ids) >= pages[-1].per_page and _is_more_likely(first, listed):
        if len(pages) >= PAGES_MAX:
            raise NotTheApi(f"the API lists more than {PAGES_MAX} pages")
        try:
            (page,) = fetch_pages([len(pages) + 1], 1)
        except NotTheApi:
            return  # the API refuses pages beyond its last one
        is_new = not seen.issuperset(page.ids)
        if is_new or (page.ids and first.total is None):
            pages.append(page)
            progress(len(pages), len(pages))
        if not is_new:
            return
        seen.update(page.ids)
        listed += len(page.ids)


def _is_more_likely(first: Page, listed: int) -> bool:
    """Whether, by what the API says, there may be more entries than the `listed` ones on full pages."""
    return first.total_pages is None if first.total is None else listed < first.total


def _combined(passes: Sequence[_Pass]) -> Listing:
    """Merge passes into one listing; of several versions of a resource the newest counts."""
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
    # Entries without an id cannot be matched between passes, so only those of the last pass count.
    without_id = [error for page in last.pages for error in page.malformed if error.resource_id is None]
    known_ids = {identity for each in passes for identity in each.known_ids()}
    listed = len(known_ids) + last.ids().count(None)
    return Listing(
        resources=tuple(resources.values()),
        malformed=(*malformed.values(), *without_id),
        absent=frozenset(each for each in known_ids if each not in resources and each not in malformed),
        counted=max((page.total for page in last.pages if page.total is not None), default=None),
        listed=listed,
        is_numbered=all(page.is_numbered for page in last.pages),
        server_time=server_time,
    )
