import gc
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random
from threading import Semaphore

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, DeadlinePassed, StoreUnavailable
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import Buffer, FileBuffer, MemoryBuffer
from empirical_fs.reading.part import Part
from tests.unit.conftest import NotingDeadline

PATIENCE = 10.0
START = 1000
CONTENT = bytes(range(256))


def part(size: int = len(CONTENT)) -> Part:
    return Part(START, START + size, MemoryBuffer(size))


def soon() -> Deadline:
    return Deadline.after(PATIENCE)


def pieces(cuts: list[int]) -> Iterator[bytes]:
    for start, stop in pairwise([0, *sorted(cuts), len(CONTENT)]):
        yield CONTENT[start:stop]


@pytest.fixture(params=["memory", "file"])
def buffer(request: pytest.FixtureRequest) -> Buffer:
    return MemoryBuffer(16) if request.param == "memory" else FileBuffer()


def test_buffer_gives_back_what_it_took(buffer: Buffer) -> None:
    """A buffer gives back any bytes that were written to it."""
    buffer.write(0, b"abcdef")
    buffer.write(6, b"")
    buffer.write(6, b"ghij")
    assert buffer.read(0, 10) == b"abcdefghij"
    assert buffer.read(4, 8) == b"efgh"
    assert buffer.read(3, 3) == b""


def test_file_buffer_goes_without_a_warning() -> None:
    """A spooled content closes its file when it goes, and does not leave that to chance."""
    buffer = FileBuffer()
    buffer.write(0, b"abc")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del buffer
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@given(st.lists(st.integers(0, len(CONTENT))), st.integers(0, 255), st.integers(0, 255))
def test_part_is_read_as_it_arrives(cuts: list[int], one: int, other: int) -> None:
    """Once its bytes are here a range is read, however the chunks were cut."""
    arriving, begin, end = part(), min(one, other), max(one, other)
    filled = 0
    for piece in pieces(cuts):
        arriving.append(piece)
        filled += len(piece)
        if filled >= end:
            assert arriving.read(START + begin, START + end, soon()) == CONTENT[begin:end]
    assert arriving.size == len(CONTENT)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=6), random=st.randoms(use_true_random=False))
def test_part_wakes_those_who_wait(pool: ThreadPoolExecutor, cuts: list[int], random: Random) -> None:
    """Every reader that waits gets its bytes as soon as they are here."""
    arriving, waiting = part(), Semaphore(0)
    spans = [sorted(random.sample(range(256), 2)) for _ in range(6)]
    deadline = NotingDeadline(soon().at, waiting)
    futures = [pool.submit(arriving.read, START + begin, START + end, deadline) for begin, end in spans]
    for _ in futures:
        assert waiting.acquire(timeout=PATIENCE)
    for piece in pieces(cuts):
        arriving.append(piece)
    assert [future.result(PATIENCE) for future in futures] == [CONTENT[begin:end] for begin, end in spans]


def test_part_that_does_not_come_in_time() -> None:
    """Who waits gives up at the deadline, and the part goes on."""
    arriving = part()
    with pytest.raises(DeadlinePassed):
        arriving.read(START, START + 1, Deadline.after(0.01))
    arriving.append(CONTENT)
    assert arriving.read(START, START + 1, soon()) == CONTENT[:1]


def test_part_that_fails(pool: ThreadPoolExecutor) -> None:
    """A failure reaches those who wait and those who come later, but not those whose bytes are here."""
    arriving, waiting, failure = part(), Semaphore(0), StoreUnavailable("broke off")
    arriving.append(CONTENT[:10])
    future = pool.submit(arriving.read, START + 5, START + 20, NotingDeadline(soon().at, waiting))
    assert waiting.acquire(timeout=PATIENCE)
    arriving.fail(failure)
    assert future.exception(PATIENCE) is failure
    with pytest.raises(StoreUnavailable):
        arriving.read(START + 10, START + 11, soon())
    assert arriving.read(START, START + 10, soon()) == CONTENT[:10]


def test_first_failure_stays() -> None:
    """Of several failures the first is the reason."""
    failing, first = part(), StoreUnavailable("first")
    assert failing.failure is None
    failing.fail(first)
    failing.fail(Closing("second"))
    assert failing.failure is first


def test_fetch_of_a_failed_part_ends() -> None:
    """The fetch of a part that nobody wants any more learns of it with its next chunk."""
    failing = part()
    failing.fail(Closing("nobody reads on"))
    with pytest.raises(Closing):
        failing.append(b"a")


@given(st.lists(st.tuples(st.sampled_from(["try", "reserve", "release"]), st.integers(0, 60)), max_size=30))
def test_budget(steps: list[tuple[str, int]]) -> None:
    """Read-ahead never goes over the total, what a reader waits for always may, and all is counted."""
    budget, held = Budget(100), 0
    for step, size in steps:
        if step == "try":
            is_free = held + size <= 100
            assert budget.try_reserve(size) == is_free
            held += size * is_free
        elif step == "reserve":
            budget.reserve(size)
            held += size
        elif size <= held:
            budget.release(size)
            held -= size
        assert budget.held == held
