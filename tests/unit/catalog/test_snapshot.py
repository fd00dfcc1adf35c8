"""A snapshot of the directory: its entries, what changed since the one before, and its time."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import ROOT_INODE, Entry, Snapshot, directory_time
from empirical_fs.fuse.xattrs import extended_attributes
from tests.support.listed import said

PAGE = "https://x/page"
SECOND = 10**9


def resource(identity: int, name: str = "", **fields: object) -> Resource:
    base = Resource(id=identity, name=name or f"{identity}.txt", size=identity * 10, updated_ns=0, link=None)
    return replace(base, **fields)


def snapshot(*resources: Resource) -> Snapshot:
    return Snapshot({each.id: each for each in resources})


def test_entries() -> None:
    """A snapshot has every file by its name, in order, with an inode number of its own, never the root's."""
    taken = snapshot(resource(5, "b"), resource(0, "c"), resource(3, "a", updated_ns=7), resource(9, "b"))
    assert list(taken.by_name) == ["a", "b", "b (9)", "c"]
    inodes = {entry.inode for entry in taken.by_name.values()}
    assert len(inodes) == 4
    assert ROOT_INODE not in inodes
    assert taken.by_name["b (9)"].resource.id == 9
    assert taken.size == 170
    assert taken.updated_ns == 7


def test_an_empty_snapshot() -> None:
    """An empty project has no size and no age."""
    assert (dict(snapshot().by_name), snapshot().size, snapshot().updated_ns) == ({}, 0, 0)


def test_a_link() -> None:
    """A link is a small InternetShortcut, whose name ends in .url and whose size is that of its text."""
    entry = snapshot(resource(1, "Plan", link=PAGE, size=None)).by_name["Plan.url"]
    assert entry.content == b"[InternetShortcut]\r\nURL=https://x/page\r\n"
    assert entry.size == len(entry.content)
    assert snapshot(resource(1, "Plan", link=PAGE, size=None)).size == entry.size


def test_an_upload_of_unknown_size() -> None:
    """An upload whose size is not known is empty for now."""
    entry = Entry("a", resource(1, size=None))
    assert (entry.size, entry.content) == (0, None)


PROJECTS = st.dictionaries(
    st.integers(0, 5),
    st.builds(
        partial(resource, 0),
        name=st.sampled_from(["a", "b", "c/", "c\0"]),
        size=st.none() | st.integers(0, 2),
        updated_ns=st.integers(0, 1),
        link=st.sampled_from([None, None, "https://x/1", "https://x/2"]),
        said=st.sampled_from([said(), said(description="1"), said(description="2")]),
    ),
).map(lambda given: snapshot(*(replace(each, id=number) for number, each in given.items())))


@given(PROJECTS, PROJECTS)
def test_changes(older: Snapshot, newer: Snapshot) -> None:
    """A name has changed if it is gone or new, or `stat`, `cat` or `getfattr` shows something else of it."""

    def meaning(of: Snapshot, name: str) -> tuple[object, ...] | None:
        entry = of.by_name.get(name)
        if entry is None:
            return None
        shown = entry.inode, entry.size, entry.resource.updated_ns, entry.content
        return *shown, extended_attributes(entry.resource)

    names = older.by_name.keys() | newer.by_name.keys()
    expected = {
        name: newer.by_name.get(name) for name in names if meaning(older, name) != meaning(newer, name)
    }
    assert newer.changed_since(older) == expected


def test_what_is_shown_alike() -> None:
    """Another description, or another name for the same file name, changes neither version nor attributes."""
    before = Entry("a", resource(1))
    assert before.is_shown_as(Entry("a", resource(1, "other", said=said(description="new"))))
    assert not before.is_shown_as(Entry("a", resource(1, updated_ns=1)))
    assert not before.is_shown_as(Entry("a", resource(1, size=None)))
    assert not before.is_shown_as(Entry("a", resource(2, size=10)))


MOMENTS = st.integers(-(10**19), 10**21)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_the_time_of_the_directory(previous: int, newest: int, now: int) -> None:
    """It moves by a second that programs can see, never back, and to the newest date or now if it can."""
    moved = directory_time(previous, newest, now)
    assert moved // SECOND > previous // SECOND
    assert moved in (newest, now, previous + SECOND)
    assert moved >= newest
    assert moved == newest or newest // SECOND <= previous // SECOND


@given(MOMENTS, MOMENTS)
def test_the_time_of_a_directory_that_is_new(newest: int, now: int) -> None:
    """It is that of the newest file, whatever the clock says."""
    assert directory_time(None, newest, now) == newest


def test_the_time_of_a_directory_whose_clock_stands_still() -> None:
    """Each change is a second later than the one before."""
    times = [directory_time(5 * SECOND + 7, 3 * SECOND, 5 * SECOND + 9)]
    times += [directory_time(times[-1], 3 * SECOND, 5 * SECOND + 9)]
    assert times == [6 * SECOND + 7, 7 * SECOND + 7]


def test_places_in_the_orders() -> None:
    """Each file with content has its place in both orders; the others, and strangers, have none."""
    made = Snapshot({each: resource(each, f"{9 - each}.txt", size=each % 3) for each in range(9)})
    for order in made.orders:
        ids = list(order)
        assert sorted(ids) == [1, 2, 4, 5, 7, 8]
        assert [order.index(each) for each in ids] == list(range(6))
        assert list(order[1:3]) == ids[1:3]
        for stranger in (0, 3, 100, -1):
            with pytest.raises(ValueError, match=str(stranger)):
                order.index(stranger)
    assert list(made.orders[0]) == list(reversed(made.orders[1]))
