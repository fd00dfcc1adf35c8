"""A part as it arrives: many may read it, one fetches it, and its memory is given back once."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from random import Random
from threading import Event, Semaphore

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, DeadlinePassed, StoreUnavailable
from empirical_fs.reading.buffers import BLOCK, Blocks, MemoryBuffer
from empirical_fs.reading.part import Coming, Part
from tests.unit.conftest import NotingDeadline
from tests.unit.conftest import read_part as read

PATIENCE = 10.0
START = 1000
CONTENT = bytes(range(256))


def part(size: int = len(CONTENT), blocks: Blocks | None = None) -> Part:
    return Part(START, START + size, MemoryBuffer(size, blocks or Blocks()))


def soon() -> Deadline:
    return Deadline.after(PATIENCE)


def pieces(cuts: list[int]) -> Iterator[bytes]:
    for start, stop in pairwise([0, *sorted(cuts), len(CONTENT)]):
        yield CONTENT[start:stop]


def append(arriving: Part, piece: bytes) -> None:
    """Put one piece where it belongs."""
    arriving.room()[: len(piece)] = piece
    arriving.advance(len(piece))


def read_ready(arriving: Part, start: int, stop: int) -> bytes | None:
    pieces = arriving.take(start, stop)
    if pieces is None:
        return None
    try:
        return b"".join(pieces)
    finally:
        arriving.give_back()


@given(st.lists(st.integers(0, len(CONTENT))), st.integers(0, 255), st.integers(0, 255))
def test_it_is_read_as_it_arrives(cuts: list[int], one: int, other: int) -> None:
    """Once its bytes are here a range is read, however they were cut, and not before."""
    arriving, begin, end = part(), min(one, other), max(one, other)
    filled = 0
    for piece in pieces(cuts):
        append(arriving, piece)
        filled += len(piece)
        assert arriving.has(START + end) == (filled >= end)
        expected = CONTENT[begin:end] if filled >= end else None
        assert read_ready(arriving, START + begin, START + end) == expected
        if expected is not None:
            assert read(arriving, START + begin, START + end, soon()) == expected
    assert arriving.size == len(CONTENT)
    assert len(arriving.room()) == 0


def test_what_lies_before_it_is_not_ready() -> None:
    """A range that begins before the part is not read from it."""
    arriving = part()
    append(arriving, CONTENT)
    assert read_ready(arriving, START - 1, START + 1) is None


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=6), random=st.randoms(use_true_random=False))
def test_it_wakes_those_who_wait(pool: ThreadPoolExecutor, cuts: list[int], random: Random) -> None:
    """Every reader that waits gets its bytes as soon as they are here."""
    arriving, waiting = part(), Semaphore(0)
    spans = [sorted(random.sample(range(256), 2)) for _ in range(6)]
    deadline = NotingDeadline(soon().at, noted=waiting)
    futures = [pool.submit(read, arriving, START + begin, START + end, deadline) for begin, end in spans]
    for _ in futures:
        assert waiting.acquire(timeout=PATIENCE)
    for piece in pieces(cuts):
        append(arriving, piece)
    assert [future.result(PATIENCE) for future in futures] == [CONTENT[begin:end] for begin, end in spans]


def test_it_does_not_come_in_time() -> None:
    """Who waits gives up at the deadline, and the part goes on."""
    arriving = part()
    with pytest.raises(DeadlinePassed):
        read(arriving, START, START + 1, Deadline.after(0.01))
    append(arriving, CONTENT)
    assert read(arriving, START, START + 1, soon()) == CONTENT[:1]


def test_it_fails(pool: ThreadPoolExecutor) -> None:
    """A failure reaches those who wait and those who come later, but not those whose bytes are here."""
    arriving, waiting, failure = part(), Semaphore(0), StoreUnavailable("broke off")
    append(arriving, CONTENT[:10])
    future = pool.submit(read, arriving, START + 5, START + 20, NotingDeadline(soon().at, noted=waiting))
    assert waiting.acquire(timeout=PATIENCE)
    arriving.fail(failure)
    assert future.exception(PATIENCE) is failure
    with pytest.raises(StoreUnavailable):
        read(arriving, START + 10, START + 11, soon())
    assert read(arriving, START, START + 10, soon()) == CONTENT[:10]


def test_the_first_failure_stays() -> None:
    """Of several failures the first is the reason."""
    failing, first = part(), StoreUnavailable("first")
    assert failing.failure is None
    failing.fail(first)
    failing.fail(Closing("second"))
    assert failing.failure is first


def test_the_fetch_of_a_failed_part_ends() -> None:
    """The fetch of a part that nobody wants any more learns of it before its next bytes."""
    failing = part()
    failing.fail(Closing("nobody reads on"))
    with pytest.raises(Closing):
        failing.room()


def test_one_fetch_only() -> None:
    """Of those who come to fetch a part one does, and none once it has failed."""
    arriving, failed = part(), part()
    with arriving.filling() as is_first, arriving.filling() as is_second:
        assert (is_first, is_second) == (True, False)
        assert arriving.is_begun
    with arriving.filling() as is_again:
        assert not is_again
    failed.fail(StoreUnavailable("gone"))
    with failed.filling() as is_late:
        assert not is_late


def test_dropped_memory_is_given_back_once() -> None:
    """A part that is dropped, twice even, gives its memory back once, and who reads there is told."""
    blocks = Blocks()
    dropped = part(BLOCK, blocks)
    append(dropped, CONTENT)
    dropped.drop()
    dropped.drop()
    again = blocks.take()
    assert again[: len(CONTENT)] == CONTENT
    assert blocks.take() is not again
    assert read_ready(dropped, START, START + 1) is None
    with pytest.raises(Closing):
        read(dropped, START, START + 1, soon())


def test_memory_that_is_being_filled_is_not_given_back() -> None:
    """A dropped part keeps its memory until its fetch has ended: bytes may still arrive in it."""
    blocks = Blocks()
    dropped = part(BLOCK, blocks)
    with dropped.filling():
        room = dropped.room()
        dropped.drop()
        taken = blocks.take()
        room[:3] = b"abc"
        assert taken[:3] != b"abc"
        dropped.advance(3)
    assert blocks.take()[:3] == b"abc"


def test_who_waits_for_a_dropped_part_is_told(pool: ThreadPoolExecutor) -> None:
    """A reader that waits when the part is dropped gets its end at once."""
    dropped, waiting = part(), Semaphore(0)
    future = pool.submit(read, dropped, START, START + 1, NotingDeadline(soon().at, noted=waiting))
    assert waiting.acquire(timeout=PATIENCE)
    for call in dropped.drop():
        call()
    assert isinstance(future.exception(PATIENCE), Closing)


def test_memory_that_is_being_read_is_not_given_back() -> None:
    """A dropped part keeps its memory until who has taken bytes of it gives them back."""
    blocks = Blocks()
    dropped = part(BLOCK, blocks)
    append(dropped, CONTENT)
    pieces = dropped.take(START, START + 3)
    assert pieces is not None
    dropped.drop()
    taken = blocks.take()
    taken[:3] = b"abc"
    assert b"".join(pieces) == CONTENT[:3]
    dropped.give_back()
    assert blocks.take()[:3] == CONTENT[:3]


def test_who_withdraws_is_not_told() -> None:
    """A reader that does not wait any more is left alone, and the others are told."""
    arriving, told = part(), list[str]()
    first, second = (lambda: told.append("first")), (lambda: told.append("second"))
    assert arriving.when_here(START + 5, first) is Coming.LATER
    assert arriving.when_here(START + 5, second) is Coming.LATER
    arriving.withdraw(first)
    append(arriving, CONTENT)
    assert told == ["second"]


@pytest.mark.parametrize("at", [START - 50, START, START + 10])
@pytest.mark.parametrize("changed", [None, START, START + 20])
def test_bytes_that_come_again(at: int, changed: int | None) -> None:
    """What comes again is compared with what is here; what lies before the part is not."""
    arriving = part()
    append(arriving, CONTENT[:100])
    again = bytearray(bytes(50) + CONTENT[:100])[at - START + 50 : 100]
    if changed is not None and changed >= at:
        again[changed - at] ^= 1
    is_same = changed is None or changed < at
    assert arriving.has_kept(at, memoryview(again)) is is_same


def test_bytes_that_come_again_in_several_blocks() -> None:
    """The comparison crosses the blocks of memory."""
    size = 2 * BLOCK + 10
    content, arriving = Random(1).randbytes(size), part(size)
    at = 0
    while at < size:
        room = arriving.room()
        room[:] = content[at : at + len(room)]
        at += len(room)
        arriving.advance(len(room))
    again = bytearray(content)
    assert arriving.has_kept(START, memoryview(again))
    again[-1] ^= 1
    assert not arriving.has_kept(START, memoryview(again))


@pytest.mark.parametrize("missing", [0, 1])
def test_what_is_complete_leaves_its_request_to_end(missing: int) -> None:
    """A reader that has all and lets go ends no request, whose connection is good for another one."""
    arriving = part()

    def let_go() -> None:
        for call in arriving.drop():
            call()

    assert arriving.when_here(START + len(CONTENT) - missing, let_go) is Coming.LATER
    append(arriving, CONTENT[: len(CONTENT) - missing])
    assert arriving.cancellation.is_cancelled is bool(missing)


def test_the_rest_of_a_dropped_part_is_still_fetched() -> None:
    """If few bytes are missing: the disk keeps whole blocks. The memory is released when they are there."""
    blocks = Blocks()
    arriving = Part(0, BLOCK, MemoryBuffer(BLOCK, blocks), rest=10)
    with arriving.filling():
        arriving.advance(BLOCK - 10)
        assert arriving.drop() == []
        assert not arriving.cancellation.is_cancelled
        assert arriving.take(0, 10) is None
        append(arriving, bytes(10))
        assert len(b"".join(arriving.filled(0, BLOCK))) == BLOCK
        assert blocks.free == 0
    assert blocks.free == 1


@pytest.mark.parametrize("arrived", [0, 5])
def test_more_than_the_rest_is_not(arrived: int) -> None:
    """A part of which nothing has come, or too much is missing, ends when it is dropped."""
    arriving = Part(0, 20, MemoryBuffer(20, Blocks()), rest=20 if not arrived else 10)
    with arriving.filling():
        arriving.advance(arrived)
        arriving.drop()
        assert arriving.cancellation.is_cancelled
        with pytest.raises(Closing):
            arriving.room()


def test_who_watches_a_part_hears_when_it_is_left() -> None:
    """After its bytes were handed on, not when they are there; and its request gets no priority by that."""
    arriving, heard = part(), list[str]()
    arriving.when_left(lambda: heard.append("before"))
    assert not arriving.cancellation.is_awaited
    with arriving.filling():
        append(arriving, CONTENT)
        assert heard == []
    assert heard == ["before"]
    arriving.when_left(lambda: heard.append("after"))
    assert heard == ["before", "after"]


def test_who_watches_a_part_that_nobody_fills_hears_of_its_end() -> None:
    """It was dropped, or nobody could fetch it, before anybody began."""
    for end in (Part.drop, Part.replace, lambda each: each.fail(StoreUnavailable("lost"))):
        waiting, heard = part(), list[bool]()
        waiting.when_left(lambda heard=heard: heard.append(True))  # type: ignore[misc]
        end(waiting)
        assert heard == [True]
        with waiting.filling() as is_ours:
            assert not is_ours
        assert heard == [True]


class Watched:
    """A buffer of no bytes; while its memory is given back, a thread comes to fill the part."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._has_come = Event()
        self.arriving = Part(0, 1, self)
        self.filled: list[Future[bool]] = []
        """Whether the thread was let to fill the part."""

    def room(self, _offset: int) -> memoryview:
        raise AssertionError("the memory was given back")

    def keep(self, _offset: int, _count: int) -> None:
        """There is nothing to keep."""

    def pieces(self, _start: int, _stop: int) -> list[memoryview]:
        return []

    def release(self) -> None:
        if not self.filled:
            self.filled.append(self._pool.submit(self._fill))
            assert self._has_come.wait(PATIENCE)

    def _fill(self) -> bool:
        self._has_come.set()
        with self.arriving.filling() as is_ours:
            return is_ours


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
def test_what_is_dropped_is_not_filled(pool: ThreadPoolExecutor) -> None:
    """A thread that comes to fill a part just while its memory is given back leaves it alone."""
    for _ in range(300):
        watched = Watched(pool)
        watched.arriving.drop()
        assert not watched.filled[0].result(PATIENCE)
