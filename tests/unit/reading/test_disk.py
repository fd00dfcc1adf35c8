"""What the disk cache has of an open content is read from there; what is fetched is kept there."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store
from empirical_fs.reading.buffers import Blocks, MemoryBuffer
from empirical_fs.reading.confirming import Confirming
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk, on_grid
from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.version import Extent, Head, Validators
from empirical_fs.work.timer import Timer

SIZE = 3 * BLOCK + 1000
DATA = os.urandom(SIZE)
STRONG, DATED = Validators(etag='"one"'), Validators(last_modified="Sat, 28 Nov 1998 20:36:06 GMT")
PATIENCE = 10.0
UPDATED = 10**18
"""After the date of `DATED`, so that this may be the object of the version before."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cache", Limits(2**30))
    store.start()
    yield store
    store.close()


@pytest.fixture
def disk(store: Store) -> Disk:
    key_of = partial(ResourceKey, "origin", "project")
    return Disk(store, key_of, Confirming(Timer()), lambda: False)


def content(
    validators: Validators | None = None, updated_ns: int = UPDATED, young_until: float = 0.0
) -> Content:
    """A content, of which the store has answered if there are validators."""
    resource = Resource(id=1, name="a", size=SIZE, updated_ns=updated_ns, link=None)
    made = Content(resource, SIZE, young_until=young_until, clock=lambda: 100.0)
    if validators is not None:
        made.tie(Head(Extent(0, SIZE), validators, SIZE), is_listed=True)
    return made


def part(start: int = 0, stop: int = SIZE, *, filled: bool = False) -> Part:
    made = Part(start, stop, MemoryBuffer(stop - start, Blocks()))
    at = start
    while filled and at < stop:
        room = made.room()
        room[:] = DATA[at : at + len(room)]
        at += len(room)
        made.advance(len(room))
    return made


def keep(store: Store, disk: Disk, what: Content, kept: Part) -> None:
    disk.open(what)
    with disk.of(what) as on_disk, kept.filling():
        assert on_disk is not None
        on_disk.keep(kept, kept.start)
    disk.close(what)
    assert store.drain(PATIENCE)


def filled(disk: Disk, what: Content, start: int = 0, stop: int = SIZE) -> bytes:
    """The bytes that the disk has."""
    empty = part(start, stop)
    disk.open(what)
    with disk.of(what) as on_disk, empty.filling():
        assert on_disk is not None
        on_disk.fill(empty)
        arrived = b"".join(empty.filled(start, start + empty.arrived))
    disk.close(what)
    return arrived


@pytest.mark.parametrize("validators", [STRONG, DATED], ids=["strong", "dated"])
def test_what_was_kept_is_there(store: Store, disk: Disk, validators: Validators) -> None:
    """For a later content that is listed like that; the store must then answer with its validators."""
    keep(store, disk, content(validators), part(filled=True))
    again = content()
    assert filled(disk, again) == DATA
    assert again.validators == validators
    assert filled(disk, content(), 100, BLOCK + 7) == DATA[100 : BLOCK + 7]


def test_hits_and_misses_are_counted(store: Store, disk: Disk) -> None:
    """A range that is there as a whole is a hit, also from memory; one that is there in part is a miss."""
    assert filled(disk, content(STRONG)) == b""
    keep(store, disk, content(STRONG), part(0, 2 * BLOCK, filled=True))
    assert filled(disk, content(STRONG)) == DATA[: 2 * BLOCK]
    counts = store.tallies.counts
    assert (counts.hits, counts.misses, counts.bytes_read) == (0, 2, 2 * BLOCK)
    assert filled(disk, content(STRONG), 0, BLOCK) == DATA[:BLOCK]
    what = content(STRONG)
    on_disk = disk.open(what)
    assert on_disk is not None
    assert on_disk.version() is not None
    assert on_disk.take(0, BLOCK) is not None
    disk.close(what)
    counts = store.tallies.counts
    assert (counts.hits, counts.misses, counts.bytes_read) == (2, 2, 4 * BLOCK)


def test_another_date(store: Store, disk: Disk) -> None:
    """Is read from disk only when the store has shown that it is the same object."""
    keep(store, disk, content(STRONG), part(filled=True))
    assert filled(disk, content(updated_ns=UPDATED + 1)) == b""
    assert filled(disk, content(STRONG, updated_ns=UPDATED + 1)) == DATA
    assert filled(disk, content(Validators(etag='"other"'), updated_ns=UPDATED + 1)) == b""
    keep(store, disk, content(DATED), part(filled=True))
    assert filled(disk, content(DATED, updated_ns=UPDATED + 1)) == b""


def test_whole_blocks_only(store: Store, disk: Disk) -> None:
    """Of a part that begins or ends in the midst of a block, what lies between is kept."""
    keep(store, disk, content(STRONG), part(100, 2 * BLOCK + 100, filled=True))
    assert filled(disk, content(), BLOCK) == DATA[BLOCK : 2 * BLOCK]
    assert filled(disk, content()) == b""


def test_a_version_that_is_young(store: Store, disk: Disk) -> None:
    """The store may still have the one before: without a strong ETag it is not kept, and none is recalled."""
    keep(store, disk, content(DATED, young_until=200.0), part(filled=True))
    assert filled(disk, content()) == b""
    keep(store, disk, content(STRONG, young_until=200.0), part(filled=True))
    assert filled(disk, content()) == b""
    assert filled(disk, content(STRONG)) == DATA
    keep(store, disk, content(STRONG), part(filled=True))
    assert filled(disk, content(young_until=200.0)) == b""


def test_without_validators(store: Store, disk: Disk) -> None:
    """Nothing is kept: nothing would show that the object was replaced."""
    keep(store, disk, content(Validators()), part(filled=True))
    assert filled(disk, content()) == b""


def test_a_content_that_nobody_has_open(disk: Disk) -> None:
    """Nothing is filled or kept; what is in use when the last handle closes may go on."""
    what = content(STRONG)
    with disk.of(what) as on_disk:
        assert on_disk is None
    disk.open(what)
    with disk.of(what) as on_disk:
        disk.close(what)
        assert on_disk is not None
        on_disk.fill(part())
    with disk.of(what) as on_disk:
        assert on_disk is None


def test_on_grid() -> None:
    """From the block of the first byte to that of the last one, or to the end."""
    assert on_grid(Range(100, 200), SIZE) == Range(0, BLOCK)
    assert on_grid(Range(BLOCK, 2 * BLOCK), SIZE) == Range(BLOCK, 2 * BLOCK)
    assert on_grid(Range(BLOCK - 1, SIZE - 1), SIZE) == Range(0, SIZE)
