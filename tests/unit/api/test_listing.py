"""The listing is complete, although resources come and go while its pages are read."""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.api import listing as listing_module
from empirical_fs.api.listing import PAGES_MAX, Listing, at_once
from empirical_fs.api.pages import IN_FLIGHT, Page
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.errors import ApiUnavailable, KeyRefused, NotTheApi
from tests.support.listed import fetched

PER_PAGE = 3
PATIENCE = 10.0
Change = tuple[str, int]
"""What happens, and where: ("insert" or "remove", position)."""


def resource(identity: int, updated_ns: int = 0) -> Resource:
    return Resource(id=identity, name=str(identity), size=1, updated_ns=updated_ns, link=None)


def page_of(ids: Sequence[int | None], total: int, total_pages: int, per_page: int = 100) -> Page:
    return Page(
        resources=tuple(resource(identity) for identity in ids if identity is not None),
        ids=tuple(ids),
        malformed=(),
        urls={},
        total=total,
        total_pages=total_pages,
        server_time=None,
        per_page=per_page,
    )


class Project:
    """An API, newest first, whose resources come and go just before requests are answered.

    The pages that are asked for side by side are answered in their order, so that every run is the same.
    """

    def __init__(self, size: int, changes: dict[int, list[Change]]) -> None:
        self.ids = list(reversed(range(size)))
        self.everything = set(self.ids)
        self.throughout = set(self.ids)
        self.requests = 0
        self._changes = changes
        self._next_page = 1
        self._turn = threading.Condition()
        self._last_page = 1

    def page(self, number: int) -> Page:
        with self._turn:
            if number > 1:
                assert self._turn.wait_for(lambda: self._next_page == number, PATIENCE)
            for change, position in self._changes.get(self.requests, []):
                self._change(change, position)
            self.requests += 1
            self._next_page = number + 1
            self._turn.notify_all()
            pages = -(-len(self.ids) // PER_PAGE)
            return page_of(self.ids[(number - 1) * PER_PAGE :][:PER_PAGE], len(self.ids), pages)

    def _change(self, change: str, position: int) -> None:
        if change == "insert":
            self.ids.insert(position, len(self.everything))
            self.everything.add(len(self.everything))
        elif self.ids:
            self.throughout.discard(self.ids.pop(position % len(self.ids)))


def changes(inserted_at: st.SearchStrategy[int]) -> st.SearchStrategy[dict[int, list[Change]]]:
    removals = st.tuples(st.just("remove"), st.just(0) | st.integers(0, 20))
    insertions = st.tuples(st.just("insert"), inserted_at)
    return st.dictionaries(
        st.integers(0, 15), st.lists(removals | insertions, min_size=1, max_size=3), max_size=5
    )


def listed_ids(listing: Listing) -> list[int]:
    return [resource.id for resource in listing.resources]


def check_nothing_is_missed(project: Project) -> None:
    ids = listed_ids(fetched(project.page))
    assert len(set(ids)) == len(ids)
    assert project.throughout <= set(ids) <= project.everything


@given(st.integers(0, 14), changes(st.just(0)))
def test_nothing_is_missed_while_the_top_grows(size: int, changes: dict[int, list[Change]]) -> None:
    """What is there throughout is listed once, while newer ones come at the top and any disappear."""
    check_nothing_is_missed(Project(size, changes))


def test_pages_that_hold_still_are_read_once() -> None:
    """Every page of a project at rest, newest first, is asked for once, and progress is told after each."""
    project, progress = Project(10, {}), list[tuple[int, int]]()
    listing = fetched(project.page, lambda done, pages: progress.append((done, pages)))
    assert sorted(listed_ids(listing)) == list(range(10))
    assert project.requests == 4
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_empty_project() -> None:
    """A project without resources is an empty listing, from one request."""
    project = Project(0, {})
    listing = fetched(project.page)
    assert (listing.resources, listing.malformed) == ((), ())
    assert project.requests == 1


def test_a_count_that_never_fits() -> None:
    """An API that counts one more than it lists is believed on the second look, which says so."""
    requests = list[int]()

    def page(number: int) -> Page:
        requests.append(number)
        return page_of([1, 2] if number == 1 else [3], 4, 2)

    listing = fetched(page)
    assert sorted(listed_ids(listing)) == [1, 2, 3]
    assert (listing.counted, listing.listed, listing.gap) == (4, 3, 1)
    assert len(requests) == 4


def test_a_page_that_comes_twice() -> None:
    """What is listed twice is one entry: an API that gives its first page again and again lists no more."""
    listing = fetched(lambda _: page_of([1, 2, 3], 6, 2))
    assert (listing.counted, listing.listed, listing.gap) == (6, 3, 3)


def test_less_is_counted_than_listed() -> None:
    """An API that counts fewer than it lists is told by a gap below 0."""
    assert fetched(lambda _: page_of([1, 2, 3], 1, 1)).gap == -2


def test_a_number_of_pages_that_is_absurd() -> None:
    """An API that claims many more pages than it has is not asked for all of them."""
    requests = list[int]()

    def page(number: int) -> Page:
        requests.append(number)
        return page_of([1, 2] if number == 1 else [], 2, 99_999)

    assert sorted(listed_ids(fetched(page))) == [1, 2]
    assert len(requests) < 100


def test_totals_that_differ() -> None:
    """Where pages differ in their totals, the largest one says how many there are."""

    def page(number: int) -> Page:
        return page_of([1, 2], 250, 2) if number == 1 else page_of([], 0, 2)

    listing = fetched(page)
    assert (listing.counted, listing.listed) == (250, 2)


@pytest.mark.parametrize(("total", "total_pages"), [(5, 1), (5, 0), (1, 1)])
def test_an_empty_answer_is_not_believed(total: int, total_pages: int) -> None:
    """An API that lists nothing although it counts resources never empties the directory."""
    with pytest.raises(ApiUnavailable, match=f"counts {total} resources and lists none"):
        fetched(lambda _: page_of([], total, total_pages))


@pytest.mark.parametrize("empty", [1, 2, 3])
def test_an_empty_page_that_stays_empty(empty: int) -> None:
    """What is there is listed, where one page is empty in every pass; the gap says that some is missing."""
    asked = list[int]()

    def page(number: int) -> Page:
        asked.append(number)
        return page_of([] if number == empty else [number], 3, 3)

    listing = fetched(page)
    assert sorted(listed_ids(listing)) == [each for each in (1, 2, 3) if each != empty]
    assert listing.gap == 1
    assert asked.count(empty) == 6


def test_an_empty_page_that_fills() -> None:
    """A page that is empty in the first pass alone is none that is missing."""
    passes = iter([[], [3, 4]])

    def page(number: int) -> Page:
        return page_of([1, 2] if number == 1 else next(passes, [3, 4]), 4, 2)

    listing = fetched(page)
    assert (sorted(listed_ids(listing)), listing.gap) == ([1, 2, 3, 4], 0)


Beyond = Callable[[int], Page]
BEYOND: dict[str, tuple[Beyond, list[int]]] = {
    "more pages than it says": (
        lambda number: page_of([number * 2, number * 2 + 1], 6, 1, 2),
        [2, 3, 4, 5, 6, 7],
    ),
    "no number of pages": (lambda number: page_of([number], 3, 0, 1), [1, 2, 3]),
    "ends with a short page": (
        lambda number: page_of([1, 2] if number == 1 else [3], 9, 1, 2),
        [1, 2, 3],
    ),
    "the last page again": (lambda _: page_of([1, 2], 9, 1, 2), [1, 2]),
    "nothing beyond": (lambda number: page_of([1, 2] if number == 1 else [], 9, 1, 2), [1, 2]),
    "smaller pages than it says": (lambda number: page_of([number], 2, 2, 100), [1, 2]),
}


@pytest.mark.parametrize(("page", "listed"), BEYOND.values(), ids=BEYOND)
def test_counts_that_disagree(page: Beyond, listed: list[int]) -> None:
    """Where the number of resources is not reached by the number of pages, those behind are listed, too."""
    assert sorted(listed_ids(fetched(page))) == listed


def test_a_page_beyond_that_is_refused() -> None:
    """An API that refuses pages beyond its last one has none there."""

    def page(number: int) -> Page:
        if number > 1:
            raise NotTheApi("HTTP 404")
        return page_of([1, 2], 9, 1, 2)

    assert sorted(listed_ids(fetched(page))) == [1, 2]


@pytest.mark.parametrize(
    ("pages", "page_seconds", "leisure", "expected"),
    [
        (500, 0.065, 0.0, IN_FLIGHT),
        (500, 0.065, -1.0, IN_FLIGHT),
        (50, 0.065, 15.0, 2),
        (500, 0.065, 15.0, 3),
        (3000, 0.065, 15.0, IN_FLIGHT),
        (0, 0.065, 15.0, 2),
        (500, 1e9, 1e-9, IN_FLIGHT),
    ],
)
def test_how_many_at_once(pages: int, page_seconds: float, leisure: float, expected: int) -> None:
    """As few as get done in time where there is time, and all where somebody waits."""
    assert at_once(pages, page_seconds, leisure) == expected


def test_leisure_ends() -> None:
    """Few pages are asked for at once while nobody waits, and as many as may be from when somebody does."""
    under_way, most = 0, 0
    lock = threading.Lock()
    leisure = iter([1000.0])

    def page(number: int) -> Page:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        if most > 2:
            is_crowded.set()
        if number > 33:
            assert is_crowded.wait(PATIENCE)
        with lock:
            under_way -= 1
        if number == 33:
            assert most <= 2
        return page_of([number], 65, 65)

    is_crowded = threading.Event()
    fetched(page, leisure=lambda: next(leisure, 0.0))


def test_a_listing_that_never_rests() -> None:
    """Where every pass sees something else and the count is not reached, it is an error, not a part."""
    passes = iter(range(100))

    def page(number: int) -> Page:
        return page_of([next(passes) % 3], 9, 1)

    with pytest.raises(ApiUnavailable):
        fetched(page)


def test_pages_beyond_belief() -> None:
    """An absurd number of pages is refused after the first."""
    asked = list[int]()

    def page(number: int) -> Page:
        asked.append(number)
        return page_of([1], 10**9, PAGES_MAX + 1)

    with pytest.raises(NotTheApi):
        fetched(page)
    assert asked == [1]


@pytest.mark.parametrize("failing", [1, 2, 7])
@pytest.mark.parametrize("error", [KeyRefused(401), ApiUnavailable("503")])
def test_errors_of_a_page(failing: int, error: Exception) -> None:
    """The error of any page is the listing's."""
    project = Project(24, {})

    def page(number: int) -> Page:
        answer = project.page(number)
        if number == failing:
            raise error
        return answer

    with pytest.raises(type(error)):
        fetched(page)


def test_newest_of_two() -> None:
    """Where passes saw two versions of a resource, the newer one is listed."""
    versions = iter([[resource(1, 5), resource(1, 9)], [resource(1, 9)]])

    def page(number: int) -> Page:
        resources = tuple(next(versions, [resource(1, 9)]))
        ids = tuple(each.id for each in resources)
        return Page(
            resources=resources,
            ids=ids,
            malformed=(),
            urls={},
            total=len(ids),
            total_pages=1,
            server_time=None,
        )

    assert fetched(page).resources == (resource(1, 9),)


def test_malformed_entries_are_told_once() -> None:
    """What is malformed comes with the listing, once although several passes saw it."""
    passes = iter(range(100))

    def page(number: int) -> Page:
        return Page(
            resources=(resource(2),),
            ids=(1, 2),
            malformed=(Malformed(1, "its name"),),
            urls={},
            total=2 + (next(passes) == 0),
            total_pages=1,
            server_time=None,
        )

    listing = fetched(page)
    assert listed_ids(listing) == [2]
    assert [error.resource_id for error in listing.malformed] == [1]


def test_malformed_entries_without_ids_are_told_one_by_one() -> None:
    """Entries that have no id are as many as were listed, though all have the same trouble."""
    malformed = tuple(Malformed(None, "its id") for _ in range(3))
    page = Page(
        resources=(), ids=(None,) * 3, malformed=malformed, urls={}, total=3, total_pages=1, server_time=None
    )
    assert len(fetched(lambda _: page).malformed) == 3


def test_what_is_not_uploaded_is_told() -> None:
    """The ids of entries that are neither a resource nor malformed come with the listing."""
    page = Page(
        resources=(resource(2),),
        ids=(1, 2, 3, None),
        malformed=(Malformed(3, "its name"), Malformed(None, "its id")),
        urls={},
        total=4,
        total_pages=1,
        server_time=None,
    )
    assert fetched(lambda _: page).absent == {1}


def test_entries_without_ids_are_no_duplicates() -> None:
    """Two entries that have no id at all do not make the listing look as if it moved."""
    asked = list[int]()

    def page(number: int) -> Page:
        asked.append(number)
        return page_of([None, 1, None], 3, 1)

    assert listed_ids(fetched(page)) == [1]
    assert asked == [1]


@dataclass
class Silent:
    """An API with pages of three, which leaves out some of what it should say of them."""

    ids: list[int]
    has_total: bool = True
    has_pages: bool = True
    is_numbered: bool = True
    asked: list[int] = field(default_factory=list)

    def page(self, number: int) -> Page:
        self.asked.append(number)
        count = len(self.ids)
        return dataclasses.replace(
            page_of(self.ids[(number - 1) * PER_PAGE :][:PER_PAGE], count, -(-count // PER_PAGE), PER_PAGE),
            total=count if self.has_total else None,
            total_pages=-(-count // PER_PAGE) if self.has_pages else None,
            is_numbered=self.is_numbered or number == 1,
        )


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 8, 30])
@pytest.mark.parametrize("says", list(itertools.product([True, False], repeat=3)))
def test_what_the_api_leaves_out(count: int, says: tuple[bool, bool, bool]) -> None:
    """All pages are listed without a number of pages or numbers on them; without a count, by two passes."""
    api = Silent(list(range(count)), *says)
    listing = fetched(api.page)
    assert sorted(each.id for each in listing.resources) == api.ids
    assert (listing.counted, listing.listed, listing.gap) == (count if says[0] else None, count, 0)
    pages = max(api.asked)
    passes = 1 if says[0] or count < PER_PAGE else 2
    assert sorted(api.asked) == sorted([*range(1, pages + 1)] * passes)
    assert pages <= count // PER_PAGE + 1


def test_a_deletion_that_no_count_shows() -> None:
    """An entry that moves to a page that was read already is not missed, though nobody counts the entries."""
    api = Silent(list(range(20)), has_total=False)

    def page(number: int) -> Page:
        answer = api.page(number)
        if len(api.asked) == 1:
            api.ids.remove(0)
        return answer

    assert listed_ids(fetched(page)) == list(range(1, 20))


@pytest.mark.parametrize(("total", "is_numbered"), [(None, True), (None, False), (9, False)])
def test_one_page_in_place_of_all(total: int | None, *, is_numbered: bool) -> None:
    """An API that answers each page with the first, and shows by nothing that it is all, lists nothing."""

    def page(number: int) -> Page:
        answer = page_of([1, 2, 3], 3, 3, PER_PAGE)
        pages = None if total is None else 3
        return dataclasses.replace(
            answer, total=total, total_pages=pages, is_numbered=is_numbered or number == 1
        )

    with pytest.raises(NotTheApi, match="contradicts itself"):
        fetched(page)


def test_one_short_page_in_place_of_all() -> None:
    """One that is not full is all that there is, though an API without counts gives it for each number."""
    listing = fetched(lambda _: dataclasses.replace(page_of([1, 2], 0, 0), total=None, total_pages=None))
    assert [each.id for each in listing.resources] == [1, 2]


def test_pages_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API without counts that has other entries on every page is not read for ever."""
    monkeypatch.setattr(listing_module, "PAGES_MAX", 50)

    def page(number: int) -> Page:
        return dataclasses.replace(page_of([number], 0, 0, 1), total=None, total_pages=None)

    with pytest.raises(NotTheApi, match="more than 50 pages"):
        fetched(page)
