"""A caller that waits gets the ranges that it asked for in order, and nothing goes on once it has left."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from empirical_fs.engine.gathering import Extent, Limits, gather
from empirical_fs.errors import DeadlinePassed, EmpiricalError, StoreUnavailable
from empirical_fs.reading.pending_read import Cancel, Waiter

MIB = 2**20
CONTENT = bytes(range(256)) * 4096 * 5


class Lender:
    def __init__(self) -> None:
        self.given_back = 0

    def give_back(self) -> None:
        self.given_back += 1


class Source:
    """A handle whose reads end when the test says so, or at once."""

    def __init__(self, *, ready: bool = False, at_once: bool = False) -> None:
        self.ready, self.at_once = ready, at_once
        self.waiting: list[tuple[int, int, Waiter]] = []
        self.cancelled = 0
        self.lender = Lender()

    def take_ready(self, start: int, size: int) -> object:
        return (self.lender, [memoryview(CONTENT)[start : start + size]]) if self.ready else None

    def read(self, start: int, size: int, waiter: Waiter) -> Cancel:
        self.waiting.append((start, size, waiter))
        if self.at_once:
            self.end(0)
        return self._cancel

    def end(self, number: int, error: EmpiricalError | None = None) -> None:
        start, size, waiter = self.waiting.pop(number)
        if error is None:
            half = start + size // 2
            waiter.give([memoryview(CONTENT)[start:half], memoryview(CONTENT)[half : start + size]])
        else:
            waiter.fail(error)

    def _cancel(self) -> None:
        self.cancelled += 1


def extent(source: Source, start: int, stop: int) -> Extent:
    return Extent(source, start, stop)  # type: ignore[arg-type]


def limits(at_once: int = 4, memory: int = 64 * MIB, moved: Callable[[], int] = lambda: 0) -> Limits:
    return Limits(at_once, memory, 0.05, moved)


@pytest.mark.parametrize("source", [Source(ready=True), Source(at_once=True)], ids=["there", "comes"])
def test_extents_come_whole_and_in_order(source: Source) -> None:
    """Long ones are read in pieces, and given as one."""
    spans = [(0, 10), (5, 3 * MIB + 1), (MIB, 2 * MIB), (100, 101)]
    found = list(gather((extent(source, *span) for span in spans), limits()))
    assert found == [CONTENT[start:stop] for start, stop in spans]
    assert source.lender.given_back in {0, 6}
    assert not source.cancelled


def test_few_are_under_way_at_once() -> None:
    """Neither more reads than allowed, nor more bytes, but for a single read."""
    for most, memory, expected in ((3, 64 * MIB, 3), (9, 2 * MIB, 2), (9, 1, 1)):
        source = Source()
        reading = gather([extent(source, 0, 5 * MIB)], limits(most, memory))
        waiter = threading.Thread(target=lambda reading=reading: list(reading))
        waiter.start()
        ended = 0
        while ended < 5:
            if source.waiting:
                assert len(source.waiting) <= expected
                source.end(-1)
                ended += 1
        waiter.join(10)
        assert not waiter.is_alive()


def test_an_error_is_that_of_its_extent() -> None:
    """The others are given; the pieces of one are never mixed with those of another."""
    source = Source()
    error = StoreUnavailable("gone")

    def spans() -> Iterator[Extent]:
        yield extent(source, 0, 2 * MIB)
        yield extent(source, 10, 20)

    reading = gather(spans(), limits())
    result: list[object] = []
    waiter = threading.Thread(target=lambda: result.extend(reading))
    waiter.start()
    while len(source.waiting) < 3:
        pass
    source.end(2)
    source.end(1, error)
    source.end(0)
    waiter.join(10)
    assert result == [error, CONTENT[10:20]]


def test_without_a_byte_a_read_ends() -> None:
    """As long as bytes arrive, it waits on."""
    source, begun = Source(), time.monotonic()
    last_byte = begun + 0.2
    (found,) = gather(
        [extent(source, 0, 10)], limits(moved=lambda: int(1e6 * min(time.monotonic(), last_byte)))
    )
    assert isinstance(found, DeadlinePassed)
    assert source.cancelled == 1
    assert time.monotonic() >= last_byte


def test_the_wait_counts_from_the_last_byte() -> None:
    source, begun = Source(), time.monotonic()
    wait = replace(limits(moved=lambda: int(time.monotonic() > begun + 1.5)), patience=5.0)
    (found,) = gather([extent(source, 0, 10)], wait)
    assert isinstance(found, DeadlinePassed)
    assert 6.5 <= time.monotonic() - begun < 10


def test_who_leaves_waits_for_nothing() -> None:
    """What is under way is cancelled."""
    ready, source = Source(at_once=True), Source()
    reading = gather([extent(ready, 0, 10), extent(source, 0, 3 * MIB)], limits())
    assert next(reading) == CONTENT[:10]
    reading.close()
    assert source.cancelled == len(source.waiting) == 3
