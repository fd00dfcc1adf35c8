"""What is shown after a listing that is incomplete or partly unreadable: the last good version stays."""

import dataclasses
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from empirical_fs.api.last_good import Known, after, at_first
from empirical_fs.api.listing import Listing
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.errors import ApiUnavailable, SetupError
from tests.support.listed import said


def resource(identity: int, name: str = "", **fields: object) -> Resource:
    base = Resource(id=identity, name=name or f"{identity}.txt", size=5, updated_ns=1, link=None)
    return replace(base, **fields)


def bad(identity: int | None, name: str | None = None, reason: str = "its size") -> Malformed:
    return Malformed(identity, reason, name=name)


def misdated(identity: int, size: int = 5) -> Malformed:
    return Malformed(identity, "its date", makeshift=resource(identity, updated_ns=0, size=size))


def listing(
    good: Iterable[int] = (),
    malformed: Sequence[Malformed] = (),
    absent: Iterable[int] = (),
    missing: int = 0,
) -> Listing:
    resources, gone = tuple(map(resource, good)), frozenset(absent)
    listed = len(resources) + len(malformed) + len(gone)
    return Listing(resources, tuple(malformed), gone, counted=listed + missing, listed=listed)


def known(*listings: Listing) -> Known:
    """What is known after these listings."""
    now = at_first(listings[0]) if listings else Known()
    for each in listings[1:]:
        now = after(each, now)
    return now


THREE = listing([1, 2, 3])
NULL = bad(None)


@dataclass
class Case:
    """What is shown after these listings, how many entries are unreadable, and how many of them kept."""

    listings: list[Listing]
    shown: set[int]
    unreadable: int = 0
    kept: int = 0


CASES = {
    "all is well": Case([THREE, listing([1, 2, 3, 4])], {1, 2, 3, 4}),
    "deleted": Case([THREE, listing([1])], {1}),
    "all deleted": Case([THREE, listing()], set()),
    "unreadable by id": Case([THREE, listing([1], [bad(2)])], {1, 2}, 1, 1),
    "all unreadable": Case([THREE, listing([], [bad(1), bad(2), bad(3)])], {1, 2, 3}, 3, 3),
    "unreadable again and again": Case([THREE, *[listing([1, 2], [bad(3)])] * 3], {1, 2, 3}, 1, 1),
    "unreadable and then deleted": Case([THREE, listing([1, 2], [bad(3)]), listing([1, 2])], {1, 2}),
    "unreadable and then read": Case([THREE, listing([1, 2], [bad(3)]), THREE], {1, 2, 3}),
    "never read": Case([THREE, listing([1, 2, 3], [bad(4)])], {1, 2, 3}, 1),
    "deleted and then unreadable": Case([THREE, listing([1, 2]), listing([1, 2], [bad(3)])], {1, 2}, 1),
    "not uploaded any more": Case([THREE, listing([1], absent=[2, 3])], {1}),
    "listed twice": Case([THREE, listing([1, 2, 3], [bad(3)])], {1, 2, 3}, 1),
    "unreadable by name": Case([THREE, listing([1], [bad(None, "2.txt")])], {1, 2}, 1, 1),
    "another name": Case([THREE, listing([1, 2, 3], [bad(None, "other")])], {1, 2, 3}, 1),
    "the name of one that is listed": Case([THREE, listing([1, 2], [bad(None, "2.txt")])], {1, 2, 3}, 1, 1),
    "neither its id nor its name": Case([THREE, listing([1, 2], [bad(None, "new")])], {1, 2, 3}, 1, 1),
    "another id and another name": Case([THREE, listing([1, 2], [bad(7, "new")])], {1, 2, 3}, 1, 1),
    "all others, all unreadable": Case(
        [THREE, listing([], [bad(each) for each in (7, 8, 9)])], {1, 2, 3}, 3, 3
    ),
    "a stranger that stays": Case(
        [THREE, *[listing([1, 2, 3], [bad(7)])] * 2, listing([1, 2], [bad(7)])], {1, 2}, 1
    ),
    "the name of one that is gone": Case(
        [THREE, listing([1, 3], [bad(None, "2.txt")], absent=[2])], {1, 3}, 1
    ),
    "neither id nor name": Case([THREE, listing([1, 2, 3], [NULL])], {1, 2, 3}, 1),
    "all without id and name": Case([THREE, listing([], [NULL] * 3)], {1, 2, 3}, 3, 3),
    "one without id and name": Case([THREE, listing([1], [NULL])], {1, 2, 3}, 1, 1),
    "again and again": Case([THREE, *[listing([1], [NULL])] * 3], {1, 2, 3}, 1, 1),
    "one that is known by its status": Case([THREE, listing([1], [NULL], absent=[2])], {1, 3}, 1, 1),
    "there always was one without": Case([THREE, listing([1, 2, 3], [NULL]), listing([1], [NULL])], {1}, 1),
    "from the first on": Case([listing([1, 2], [NULL]), listing([1], [NULL])], {1}, 1),
    "one more than always": Case([listing([1, 2], [NULL]), listing([1], [NULL] * 2)], {1, 2}, 2, 1),
    "well again": Case([THREE, listing([1], [NULL] * 2), listing([1])], {1}),
    "a date": Case([listing([1], [misdated(2)])], {1, 2}, 1),
    "a date of one that was read": Case([THREE, listing([1, 2], [misdated(3)])], {1, 2, 3}, 1, 1),
    "a date, and then worse": Case([listing([], [misdated(1)]), listing([], [bad(1)])], {1}, 1, 1),
    "a date, and then not even an id": Case(
        [listing([], [misdated(1)]), listing([], [bad(None, "1.txt")])], {1}, 1, 1
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_shown(case: Case) -> None:
    """What cannot be read stays as it was; what the API lists no more, or says to be gone, goes."""
    now = known(*case.listings)
    assert (set(now.shown), now.unreadable, now.kept) == (case.shown, case.unreadable, case.kept)
    assert bool(now.troubles) == bool(case.unreadable)
    assert all(each == now.shown[each].id for each in now.shown)


def test_names_that_several_have() -> None:
    """Where an entry without an id may be one of several resources of its name, none of them goes."""
    same = Listing((resource(1, "a"), resource(2, "a"), resource(3, "a"), resource(4, "b")), ())
    now = known(same, Listing((resource(1, "a"),), (bad(None, "a"), bad(None, "a"))))
    assert (set(now.shown), now.kept) == ({1, 2, 3}, 2)


def test_many_of_one_name() -> None:
    """Many resources of one name that lost their ids are kept, in a time that grows with their number."""
    count = 50_000
    same = Listing(tuple(resource(each, "a") for each in range(count)), ())
    now = known(same, Listing((), tuple(bad(None, "a") for _ in range(count))))
    assert len(now.shown) == count


def test_the_last_good_version_stays() -> None:
    """A resource that was read stays as it was read, though its size changes while its date cannot be."""
    now = known(THREE, listing([1, 2], [misdated(3, size=9)]))
    assert now.shown[3] == resource(3)
    assert not now.makeshift


def test_what_was_never_read_follows() -> None:
    """A resource whose date could never be read is shown as it is listed now, and read when it can be."""
    first = known(listing([], [misdated(1)]))
    assert (first.shown[1].size, set(first.makeshift)) == (5, {1})
    second = after(listing([], [misdated(1, size=9)]), first)
    assert (second.shown[1].size, set(second.makeshift)) == (9, {1})
    third = after(listing([1]), second)
    assert (third.shown[1], set(third.makeshift)) == (resource(1), set())
    fourth = after(listing([], [misdated(1, size=9)]), third)
    assert fourth.shown[1] == resource(1)


CUT: list[tuple[str, list[Listing], bool]] = [
    ("a part of the last one", [THREE, listing([1], missing=2)], True),
    ("nothing of the last one", [THREE, listing([9], missing=3)], True),
    ("one missing, one deleted", [THREE, listing([1, 2], missing=1)], True),
    ("more missing than ever", [listing([1, 2, 3], missing=1), listing([1], missing=3)], True),
    ("missing as once before", [THREE, listing([1, 2, 3], missing=9), listing([1], missing=2)], True),
    (
        "missing as twice before",
        [THREE, *[listing([1, 2, 3], missing=2)] * 2, listing([1], missing=2)],
        False,
    ),
    ("counted less than listed at once", [THREE, listing([1], missing=-1)], True),
    ("counted as 0 all the time", [listing([1, 2, 3], missing=-3), listing([1], missing=-1)], False),
    ("with entries that cannot be read", [THREE, listing([1], [NULL], missing=1)], True),
    ("unreadable, and another missing", [THREE, listing([1], [bad(2)], missing=1)], True),
    ("a steady disagreement", [listing([1, 2, 3], missing=1), listing([1, 2], missing=1)], False),
    ("less missing than before", [listing([1, 2, 3], missing=5), listing([1], missing=4)], False),
    ("missing, but not of what was known", [THREE, listing([1, 2, 3], missing=7)], False),
    ("missing, but kept", [THREE, listing([1, 2], [bad(3)], missing=7)], False),
    ("missing, but said to be gone", [THREE, listing([1, 2], absent=[3], missing=7)], False),
    ("deleted", [THREE, listing([1])], False),
    ("at first", [listing([1], missing=99)], False),
]


@pytest.mark.parametrize(
    ("listings", "is_refused"), [each[1:] for each in CUT], ids=[each[0] for each in CUT]
)
def test_a_listing_that_is_cut_short(listings: list[Listing], *, is_refused: bool) -> None:
    """A listing is refused if it lacks files, and more of what the API counts than the last one did."""
    before = known(*listings[:-1])
    with pytest.raises(ApiUnavailable, match="cut short") if is_refused else nullcontext():
        after(listings[-1], before)


def test_a_refusal_changes_nothing() -> None:
    """As long as the listing is cut short in the same way, it is refused."""
    before = known(THREE)
    for _ in range(3):
        with pytest.raises(ApiUnavailable):
            after(listing([1], missing=2), before)
    assert set(after(THREE, before).shown) == {1, 2, 3}


@pytest.mark.parametrize(
    ("first", "is_refused"),
    [
        (listing(), False),
        (listing([1]), False),
        (listing([1], [bad(2)]), False),
        (listing([], [misdated(1)]), False),
        (listing([], [], absent=[1, 2]), False),
        (listing([1], missing=5), False),
        (listing([], [bad(1)]), True),
        (listing([], [NULL, bad(None, "a")]), True),
        (listing([], [bad(1)], absent=[2]), True),
    ],
)
def test_at_first(first: Listing, *, is_refused: bool) -> None:
    """A project whose resources cannot be read, not even one, is not mounted; an empty one is."""
    told = r"can be read \(its size\); look for a newer release"
    with pytest.raises(SetupError, match=told) if is_refused else nullcontext():
        at_first(first)


def test_one_line_for_each_kind_of_trouble() -> None:
    """A line says how many entries have the trouble, which is the first, and what became of them."""
    malformed = [bad(each) for each in range(1, 1001)]
    now = known(THREE, listing([], [*malformed, bad(None, "x", "its id"), misdated(7777)], missing=1))
    assert tuple(now.troubles.values()) == (
        "the API counts 1003 resources and lists 1002",
        "resource 1 and 999 more of the listing cannot be read: its size"
        " (3 shown as last read, 997 left out)",
        "resource 7777 cannot be read: its date (1 shown with another date)",
        "an entry without an id cannot be read: its id (1 left out)",
    )


def test_files_that_may_be_among_the_nameless() -> None:
    """A line says that files are shown that the listing does not name."""
    now = known(THREE, listing([1], [NULL]))
    assert tuple(now.troubles.values())[1:] == (
        "files that are no longer listed are shown as last read: 2, as any of them may be one of the"
        " unreadable entries: 1",
    )


def test_another_project() -> None:
    """A listing of another project, with none of the files that were there, is refused."""

    def of(project: str, *ids: int) -> Listing:
        found = tuple(resource(each, said=said(project_id=project)) for each in ids)
        return Listing(found, (), counted=len(ids), listed=len(ids))

    before = known(of("1", 1, 2))
    with pytest.raises(ApiUnavailable, match="another project"):
        after(of("2", 3), before)
    assert set(after(of("2", 1, 3), before).shown) == {1, 3}
    assert set(after(of("1", 3), before).shown) == {3}
    assert not after(listing(), before).shown
    assert set(after(listing([5]), before).shown) == {5}


def test_a_date_that_is_lost() -> None:
    """A date that was there stays when the API says none any more, and that is told."""
    undated = Listing((resource(1, updated_ns=0, is_dated=False), resource(2)), (), counted=2, listed=2)
    now = known(listing([1, 2]), undated, undated)
    assert now.shown == {1: resource(1), 2: resource(2)}
    assert (now.unreadable, now.kept) == (1, 1)
    assert now.troubles == {"dates": "resources have lost their updated_at: 1, shown with earlier dates"}
    assert not known(undated).unreadable


def uncounted(*ids: int) -> Listing:
    return dataclasses.replace(listing(ids), counted=None)


def test_a_count_that_is_gone() -> None:
    """A file is believed to be gone where the API has left out its count before, and not by the way."""
    assert set(known(uncounted(1, 2), uncounted(1)).shown) == {1}
    with pytest.raises(ApiUnavailable, match="lists 1 resources, and does not say how many there are, with"):
        known(THREE, uncounted(1))
    with pytest.raises(ApiUnavailable):
        known(THREE, uncounted(1, 2, 3), uncounted(1, 2))
    assert set(known(THREE, uncounted(1, 2, 3), uncounted(1, 2, 3), uncounted(1, 2)).shown) == {1, 2}
    assert set(known(THREE, uncounted(1, 2, 3, 4)).shown) == {1, 2, 3, 4}


def test_what_a_listing_does_not_say_is_told() -> None:
    """That it has no count or no numbers of pages is a trouble with a line of its own."""
    assert known(THREE).troubles == {}
    assert known(uncounted(1)).troubles.keys() == {"count"}
    assert known(dataclasses.replace(THREE, is_numbered=False)).troubles.keys() == {"numbers"}
