"""A reader gives the right bytes or an error, in time, and downloads nothing twice."""

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.api.resource import Resource
from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    BadAnswer,
    Closing,
    ContentChanged,
    DeadlinePassed,
    EmpiricalError,
    KeyRefused,
    SpoolFailed,
    StoreUnavailable,
)
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import BLOCK, Blocks, MemoryBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor
from empirical_fs.reading.fetch.object_store import Body, Sink
from empirical_fs.reading.fetch.pool import Fetcher
from empirical_fs.reading.fetch.range_request import Filled, Ranges, WholeInstead
from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import FIRST_PART, KEPT_BEHIND
from empirical_fs.reading.reader import Reader
from empirical_fs.reading.spool_space import SpoolSpace
from empirical_fs.reading.supply import Means
from empirical_fs.reading.version import Extent
from empirical_fs.statistics import Statistics
from empirical_fs.work.waits import Steps
from tests.support.harness import noise
from tests.unit.conftest import Arrived, Inline, InThreads, NotingDeadline, Waiting, unnoticed

PATIENCE = 10.0
MIB = 2**20
DATA = noise(3 * MIB + 12_345, 1)
SIZE = len(DATA)
LONG = noise(24 * MIB, 2)
STEP = 128 * 2**10
CHUNK = 100_001
Failure = Callable[[int, int], BaseException | None]


class FakeRanges(Ranges):
    """A store in memory, which may fail, wait, or know no ranges."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.fetched: list[tuple[int, int]] = []
        self.downloads = 0
        self.open_bodies = 0
        self.knows_ranges = True
        self.failure: Failure = lambda start, stop: None
        self.failure_of_the_whole: Callable[[], BaseException | None] = lambda: None
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        return sum(stop - start for start, stop in self.fetched)

    def fetch(  # noqa: PLR0913, PLR0917 - as that of Ranges
        self,
        content: Content,
        start: int,
        stop: int,
        sink: Sink,
        request_stop: int | None = None,
        body: Body | None = None,
    ) -> Steps[Filled | WholeInstead]:
        if body is not None:
            try:
                error = self.failure_of_the_whole()
                if error is not None:
                    raise error
                yield from body.pour(sink, start, stop)
            finally:
                body.close()
            return Filled()
        with self._lock:
            self.fetched.append((start, stop))
        self.begun.release()
        assert self.go.wait(PATIENCE)
        error = self.failure(start, stop)
        if isinstance(error, ContentChanged):
            content.end()
        if error is not None:
            raise error
        if not self.knows_ranges:
            return WholeInstead(self._whole())
        read_into = self._reading(start, stop)
        while count := read_into(sink.room()):
            sink.advance(count)
            if start + count == stop:
                break
            start += count
        return Filled()

    def _whole(self) -> Body:
        with self._lock:
            self.open_bodies += 1
        size = len(self.data)
        return Body(
            Extent(0, size, is_range=False), Arrived(self._reading(0, size)), self._closed, Cancellation()
        )

    def _reading(self, start: int, stop: int) -> Callable[[memoryview], int]:
        at = start

        def read_into(view: memoryview) -> int:
            nonlocal at
            if (start, stop, at) == (0, len(self.data), 0):
                with self._lock:
                    self.downloads += 1
            count = min(len(view), CHUNK, stop - at)
            view[:count] = self.data[at : at + count]
            at += count
            return count

        return read_into

    def _closed(self) -> None:
        with self._lock:
            self.open_bodies -= 1


class Opened:
    """A reader over a fake store, all of which happens in the thread that reads unless executors are given.

    With `beside`, it shares the memory of another one.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        budget: int = 64 * MIB,
        data: bytes = DATA,
        ahead: Executor | None = None,
        beside: "Opened | None" = None,
    ) -> None:
        wanted = InThreads(executor) if executor else Inline()
        self.data = data
        self.ranges = FakeRanges(data)
        self.budget: Budget = Budget(budget) if beside is None else beside.budget
        self.blocks: Blocks = Blocks() if beside is None else beside.blocks
        fetcher = Fetcher(self.ranges, Statistics(), unnoticed, wanted, InThreads(ahead) if ahead else wanted)
        resource = Resource(id=1, name="a", size=len(data), updated_ns=0, link=None)
        self.content = Content(resource, len(data))
        self.means = Means(fetcher, self.budget, self.blocks, Statistics())
        # What is fetched ahead is what these tests are about.
        self.means.habits.closed(SIZE, SIZE)
        self.reader = Reader(self.content, self.means)

    def cursor(self) -> Cursor:
        return Cursor(len(self.data))

    def read(
        self, start: int, size: int, cursor: Cursor | None = None, deadline: Deadline | None = None
    ) -> bytes:
        reading = cursor or self.cursor()
        ready = self.reader.take_ready(reading, start, size)
        if ready is not None:
            part, pieces = ready
            data = b"".join(pieces)
            part.give_back()
            return data
        return Waiting().bytes_of(
            lambda waiter: self.reader.read(reading, start, size, waiter),
            deadline or Deadline.after(PATIENCE),
        )

    def read_on(self, start: int, reads: int, cursor: Cursor | None = None) -> bytes:
        """What a sequential reader gets."""
        cursor = cursor or self.cursor()
        return b"".join(self.read(start + turn * STEP, STEP, cursor) for turn in range(reads))

    def close(self) -> None:
        self.reader.supply.close()


@pytest.fixture(scope="module")
def fetching() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


@pytest.fixture
def opened(fetching: ThreadPoolExecutor) -> Iterator[Opened]:
    opened = Opened(fetching)
    yield opened
    opened.ranges.go.set()
    opened.close()
    assert opened.budget.held == 0


OFFSETS = st.integers(0, SIZE + 10) | st.sampled_from([0, SIZE - 1, SIZE - STEP, FIRST_PART, SIZE])
READS = st.lists(st.tuples(OFFSETS, st.integers(0, 2 * STEP)), max_size=6)
"""Random reads: (offset, size)."""
STREAMS = st.tuples(OFFSETS, st.integers(0, 12))
"""A sequential reader: (offset, reads)."""
READERS = st.lists(READS | STREAMS, min_size=1, max_size=5)


def follow(opened: Opened, reader: list[tuple[int, int]] | tuple[int, int]) -> list[EmpiricalError]:
    """Read as one handle, check what comes, and hand back the failures."""
    failures: list[EmpiricalError] = []
    cursor = opened.cursor()
    if isinstance(reader, tuple):
        reader = [(reader[0] + turn * STEP, STEP) for turn in range(reader[1])]
    for start, size in reader:
        try:
            assert opened.read(start, size, cursor) == opened.data[start : start + size]
        except EmpiricalError as error:
            failures.append(error)
    opened.reader.supply.leave(cursor)
    return failures


def run(
    opened: Opened, pool: Executor, readers: list[list[tuple[int, int]] | tuple[int, int]]
) -> list[EmpiricalError]:
    """Read side by side, each with a handle of its own."""
    futures = [pool.submit(follow, opened, reader) for reader in readers]
    return [failure for future in futures for failure in future.result(PATIENCE)]


@settings(max_examples=25)
@given(readers=READERS, budget=st.sampled_from([0, FIRST_PART, 2**30]), knows_ranges=st.booleans())
def test_right_bytes_for_all(
    pool: ThreadPoolExecutor,
    fetching: ThreadPoolExecutor,
    readers: list[list[tuple[int, int]] | tuple[int, int]],
    budget: int,
    *,
    knows_ranges: bool,
) -> None:
    """Any number of readers side by side get the right bytes, and all memory is given back."""
    opened = Opened(fetching, budget)
    opened.ranges.knows_ranges = knows_ranges
    assert run(opened, pool, readers) == []
    assert opened.budget.held == 0
    opened.close()
    assert opened.budget.held == 0


@settings(max_examples=25)
@given(readers=READERS, knows_ranges=st.booleans(), random=st.randoms(use_true_random=False))
def test_right_bytes_or_an_error(
    pool: ThreadPoolExecutor,
    fetching: ThreadPoolExecutor,
    readers: list[list[tuple[int, int]] | tuple[int, int]],
    random: Random,
    *,
    knows_ranges: bool,
) -> None:
    """Where fetches fail at random, every read is right or an error, and all memory is given back."""
    opened = Opened(fetching)
    opened.ranges.knows_ranges = knows_ranges
    seed = Random(random.getrandbits(32))
    opened.ranges.failure = lambda start, stop: StoreUnavailable("busy") if seed.random() < 0.3 else None
    failures = run(opened, pool, readers)
    assert all(isinstance(failure, StoreUnavailable) for failure in failures)
    opened.close()
    assert opened.budget.held == 0


@settings(max_examples=25)
@given(
    readers=st.lists(st.tuples(READS | STREAMS, st.booleans()), min_size=2, max_size=5),
    budget=st.sampled_from([0, FIRST_PART, 2 * MIB, 6 * MIB]),
)
def test_memory_is_never_mixed_up(
    pool: ThreadPoolExecutor,
    fetching: ThreadPoolExecutor,
    readers: list[tuple[list[tuple[int, int]] | tuple[int, int], bool]],
    budget: int,
) -> None:
    """Two contents whose memory goes to and fro between them each get their own bytes, or an end."""
    first = Opened(fetching, budget)
    second = Opened(fetching, data=DATA[::-1], beside=first)
    futures = [
        pool.submit(follow, second if is_second else first, reader) for reader, is_second in readers[:-1]
    ]
    last, is_second = readers[-1]
    failures = follow(second if is_second else first, last)
    first.close()
    for future in futures:
        failures += future.result(PATIENCE)
    second.close()
    assert all(isinstance(failure, Closing) for failure in failures)
    assert first.budget.held == 0


def test_a_sequential_reader_fetches_nothing_twice(opened: Opened) -> None:
    """A file that is read from start to end is fetched once, mostly ahead of the reader."""
    assert opened.read_on(0, -(-SIZE // STEP)) == DATA
    fetched = sorted(opened.ranges.fetched)
    assert fetched[0][0] == 0
    assert fetched[-1][1] == SIZE
    assert all(before[1] == after[0] for before, after in pairwise(fetched))
    assert len(fetched) < SIZE // STEP // 2


def test_only_what_is_asked_for(opened: Opened) -> None:
    """Random reads fetch the bytes that were asked for and nothing else."""
    asked = [(2 * MIB, 5), (0, 7), (SIZE - 3, 3), (MIB, 1)]
    cursor = opened.cursor()
    for start, size in asked:
        assert opened.read(start, size, cursor) == DATA[start : start + size]
    assert opened.ranges.fetched == [(start, start + size) for start, size in asked]
    assert opened.budget.held == 0


@pytest.mark.parametrize(("start", "size"), [(SIZE, 1), (SIZE + 5, 10), (0, 0), (2**60, 5)])
def test_nothing_beyond_the_end(opened: Opened, start: int, size: int) -> None:
    """A read at the end, beyond it, or of nothing is empty and costs no request."""
    assert opened.read(start, size) == b""
    assert opened.ranges.fetched == []


def test_waits_are_counted(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """Those of reads whose bytes had not arrived, however they end; and the bytes that were given."""
    opened.ranges.go.clear()
    waiting = pool.submit(opened.read, 100, 50)
    assert opened.ranges.begun.acquire(timeout=PATIENCE)
    given_up = opened.reader.read(opened.cursor(), 120, 10, Waiting())
    given_up()
    assert opened.means.statistics.counts().read_waits.count == 1
    opened.ranges.go.set()
    waiting.result(PATIENCE)
    opened.ranges.failure = lambda _start, _stop: StoreUnavailable("busy")
    with pytest.raises(StoreUnavailable):
        opened.read(MIB, 5)
    counts = opened.means.statistics.counts()
    assert (counts.read_waits.count, counts.reads, counts.bytes_read) == (3, 1, 50)


def test_readers_share_a_fetch(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """Readers that want the same bytes at the same time wait for one fetch."""
    opened.ranges.go.clear()
    first = pool.submit(opened.read, 100, 50)
    assert opened.ranges.begun.acquire(timeout=PATIENCE)
    waiting = threading.Semaphore(0)
    others = [
        pool.submit(opened.read, 110, 20, None, NotingDeadline(Deadline.after(PATIENCE).at, noted=waiting))
        for _ in range(3)
    ]
    for _ in others:
        assert waiting.acquire(timeout=PATIENCE)
    opened.ranges.go.set()
    assert first.result(PATIENCE) == DATA[100:150]
    assert [other.result(PATIENCE) for other in others] == [DATA[110:130]] * 3
    assert opened.ranges.fetched == [(100, 150)]


def test_handles_at_different_places_download_each_byte_once() -> None:
    """Two handles that read on from different places fetch every byte once, but for a window at most."""
    opened = Opened(data=LONG)
    half = len(LONG) // 2
    first, second = opened.cursor(), opened.cursor()
    for at in range(0, half, STEP):
        for cursor, start in ((first, at), (second, half + at)):
            assert opened.read(start, STEP, cursor) == LONG[start : start + STEP]
    # What is ahead of the first at its end was read by the second long ago.
    waste = opened.ranges.total - len(LONG)
    assert 0 <= waste <= opened.budget.held
    opened.reader.supply.leave(first)
    opened.reader.supply.leave(second)
    assert opened.budget.held == 0


@settings(max_examples=40)
@given(st.lists(st.booleans(), max_size=300))
def test_handles_that_read_the_same_download_it_once(turns: list[bool]) -> None:
    """Two handles that read the same, neither far behind the other, fetch it once, but for the first read."""
    opened = Opened(data=LONG[: 10 * MIB])
    cursors, at = (opened.cursor(), opened.cursor()), [0, 0]
    lag = KEPT_BEHIND - STEP
    turn = 0
    while min(at) < len(opened.data):
        turn += 1
        which = turns[turn % len(turns)] if turns else bool(turn % 2)
        if at[which] - at[not which] > lag or at[which] >= len(opened.data):
            which = not which
        assert opened.read(at[which], STEP, cursors[which]) == LONG[at[which] : at[which] + STEP]
        at[which] += STEP
    assert len(opened.data) <= opened.ranges.total <= len(opened.data) + STEP
    opened.close()
    assert opened.budget.held == 0


def test_failing_read_ahead_fails_nobody() -> None:
    """A reader whose own fetches work never sees that those ahead of it fail."""
    opened = Opened()
    cursor = opened.cursor()
    failed = 0

    def failure_ahead_of(read_stop: int) -> Failure:
        def failure(start: int, stop: int) -> BaseException | None:
            nonlocal failed
            failed += start >= read_stop
            return KeyRefused(401) if start >= read_stop else None

        return failure

    for at in range(0, SIZE, STEP):
        opened.ranges.failure = failure_ahead_of(at + STEP)
        assert opened.read(at, STEP, cursor) == DATA[at : at + STEP]
    assert failed


def test_a_fetch_ahead_that_fails_under_a_reader(
    fetching: ThreadPoolExecutor, pool: ThreadPoolExecutor
) -> None:
    """Who waits for bytes that were fetched ahead, and failed, fetches what it needs itself."""
    opened = Opened(ahead=fetching)
    cursor = opened.cursor()
    doomed: list[tuple[int, int]] = []
    begun, end = threading.Semaphore(0), threading.Event()

    def failure(start: int, stop: int) -> BaseException | None:
        if start <= STEP or doomed:
            return None
        doomed.append((start, stop))
        begun.release()
        assert end.wait(PATIENCE)
        return StoreUnavailable("busy")

    opened.ranges.failure = failure
    opened.read_on(0, 2, cursor)
    assert begun.acquire(timeout=PATIENCE)
    start, _ = doomed[0]
    waiting = threading.Semaphore(0)
    deadline = NotingDeadline(Deadline.after(PATIENCE).at, noted=waiting)
    future = pool.submit(opened.read, start, STEP, cursor, deadline)
    assert waiting.acquire(timeout=PATIENCE)
    end.set()
    assert future.result(PATIENCE) == DATA[start : start + STEP]
    assert (start, start + STEP) in opened.ranges.fetched
    opened.close()


def test_own_failure_is_told(opened: Opened) -> None:
    """The error of a reader's own fetch is its error, at once; the next read tries again."""
    opened.ranges.failure = lambda start, stop: StoreUnavailable("busy")
    with pytest.raises(StoreUnavailable):
        opened.read(0, 10)
    assert len(opened.ranges.fetched) == 1
    opened.ranges.failure = lambda start, stop: None
    assert opened.read(0, 10) == DATA[:10]


def test_not_in_time(opened: Opened) -> None:
    """A read gives up at its deadline, although the fetch goes on."""
    opened.ranges.go.clear()
    with pytest.raises(DeadlinePassed):
        opened.read(0, 10, deadline=Deadline.after(0.02))


@pytest.mark.warns("ERROR .*: a fetch failed unexpectedly")
def test_a_mistake_in_a_fetch_is_an_error(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that nobody expected fails the read at once, and is logged."""
    opened.ranges.failure = lambda start, stop: ZeroDivisionError("bug")
    with pytest.raises(EmpiricalError):
        opened.read(0, 10)
    assert ["unexpectedly" in record.message for record in caplog.records] == [True]


def test_changed_content_is_over(opened: Opened) -> None:
    """Once the content is known to have changed, every read says so, also of bytes that are here."""
    cursor = opened.cursor()
    opened.read_on(0, 3, cursor)
    fetches = len(opened.ranges.fetched)
    opened.content.end()
    with pytest.raises(ContentChanged):
        opened.read(3 * STEP, STEP, cursor)
    with pytest.raises(ContentChanged):
        opened.read(0, 1)
    assert len(opened.ranges.fetched) == fetches


def test_a_fetch_finds_that_the_content_changed(opened: Opened) -> None:
    """The reader whose fetch finds the change gets it as its error, without another try."""
    opened.ranges.failure = lambda start, stop: ContentChanged("412")
    with pytest.raises(ContentChanged):
        opened.read(0, 10)
    assert len(opened.ranges.fetched) == 1


def test_a_server_without_ranges_sends_once(pool: ThreadPoolExecutor) -> None:
    """A server that knows no ranges is asked for one download, however many read from it, and wherever."""
    with ThreadPoolExecutor(16) as fetching:
        opened = Opened(fetching)
        opened.ranges.knows_ranges = False
        assert run(opened, pool, [(0, 25), (MIB, 10), [(SIZE - 5, 5), (0, 5)], [(7, 7)]]) == []
        assert opened.read(5, 5) == DATA[5:10]
    opened.close()
    assert opened.ranges.downloads == 1
    assert opened.ranges.open_bodies == 0


def test_a_download_that_failed_is_tried_again_by_the_next_read(opened: Opened) -> None:
    """A download that broke off fails the read that began it, and the next read begins another one."""
    opened.ranges.knows_ranges = False
    failures = iter([BadAnswer("too long")])
    opened.ranges.failure_of_the_whole = lambda: next(failures, None)
    with pytest.raises(BadAnswer):
        opened.read(5, 5)
    assert opened.read(5, 5) == DATA[5:10]
    assert len(opened.ranges.fetched) == 2


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SpoolFailed),
        (BadAnswer("the store sent more bytes than it announced"), BadAnswer),
    ],
)
def test_a_download_that_cannot_succeed_is_not_repeated_until_the_deadline(
    failure: BaseException, expected: type[EmpiricalError]
) -> None:
    """A download that fails whenever it is tried fails the read with its reason, after a few tries."""
    with ThreadPoolExecutor(16) as fetching:
        opened = Opened(fetching)
        opened.ranges.knows_ranges = False
        opened.ranges.failure_of_the_whole = lambda: failure
        with pytest.raises(EmpiricalError) as caught:
            opened.read(5, 5, deadline=Deadline.after(0.3))
    opened.close()
    assert len(opened.ranges.fetched) <= 4
    assert isinstance(caught.value, expected)
    assert opened.ranges.open_bodies == 0


def test_nothing_is_fetched_ahead_that_the_disk_has_no_room_for(opened: Opened) -> None:
    """A server that knows no ranges would send the whole file again for it, each time that it is opened."""
    opened.ranges.knows_ranges = False
    opened.content.spool_space = SpoolSpace(lambda _: False)
    with pytest.raises(SpoolFailed):
        opened.read(0, STEP)
    fetches = len(opened.ranges.fetched)
    assert not opened.reader.supply.fetch_ahead(opened.cursor(), 2 * STEP)
    assert len(opened.ranges.fetched) == fetches
    assert opened.budget.held == 0


def test_without_memory_nothing_is_fetched_ahead() -> None:
    """Without memory nothing is fetched ahead, and reads go on all the same."""
    opened = Opened(budget=0)
    assert opened.read_on(0, 5) == DATA[: 5 * STEP]
    assert opened.ranges.fetched == [(at, at + STEP) for at in range(0, 5 * STEP, STEP)]
    opened.close()
    assert opened.budget.held == 0


@settings(max_examples=25)
@given(readers=READERS, budget=st.integers(0, 4 * MIB))
def test_held_is_bounded(
    pool: ThreadPoolExecutor,
    fetching: ThreadPoolExecutor,
    readers: list[list[tuple[int, int]] | tuple[int, int]],
    budget: int,
) -> None:
    """However little memory there is, no read fails, and no more is held than it and what is waited for."""
    opened = Opened(fetching, budget)
    held: list[int] = []

    def note(start: int, stop: int) -> None:
        held.append(opened.budget.held)

    opened.ranges.failure = note
    assert run(opened, pool, readers) == []
    assert max(held, default=0) <= budget + len(readers) * 2 * STEP
    opened.close()
    assert opened.budget.held == 0


def test_an_idle_reader_gives_its_window_back() -> None:
    """What an idle reader holds ahead goes down to its share as soon as another one needs the memory."""
    total = 8 * MIB
    idle = Opened(budget=total, data=LONG[: 7 * MIB])
    cursor = idle.cursor()
    idle.read_on(2 * MIB, 3)
    assert idle.reader.supply.fetch_ahead(cursor, idle.content.size)
    assert idle.budget.held == 7 * MIB
    busy = Opened(data=LONG[::-1], beside=idle)
    busy_cursor = busy.cursor()
    busy.read_on(0, 80, busy_cursor)
    assert len(busy.ranges.fetched) < 40
    busy.reader.supply.leave(busy_cursor)
    assert 0 < idle.budget.held <= total // 2
    assert idle.read_on(0, 7 * MIB // STEP, cursor) == idle.data
    idle.close()
    busy.close()
    assert idle.budget.held == 0


@pytest.mark.parametrize("filling", [7 * MIB, 7 * MIB + MIB // 2])
def test_a_window_that_was_refused_goes_on_without_a_hole(filling: int) -> None:
    """Where the memory for a part of the window comes a little later, it is still fetched ahead, in order."""
    idle = Opened(budget=8 * MIB, data=LONG[:filling])
    assert idle.reader.supply.fetch_ahead(idle.cursor(), idle.content.size)
    busy = Opened(data=LONG, beside=idle)
    cursor = busy.cursor()
    assert busy.read_on(0, 64, cursor) == LONG[: 64 * STEP]
    assert busy.ranges.fetched == sorted(busy.ranges.fetched)
    assert all(stop - start > STEP for start, stop in busy.ranges.fetched[2:])
    idle.close()
    busy.close()
    assert busy.budget.held == 0


def test_leaving_gives_back_what_was_ahead() -> None:
    """A handle that is closed gives back what was fetched ahead of it; that of the others stays."""
    opened = Opened(data=LONG)
    leaving, staying = opened.cursor(), opened.cursor()
    opened.read_on(0, 3, leaving)
    ahead_of_one = opened.budget.held
    assert ahead_of_one > 0
    opened.read_on(12 * MIB, 3, staying)
    assert opened.budget.held > ahead_of_one
    opened.reader.supply.leave(leaving)
    fetches = len(opened.ranges.fetched)
    assert opened.read(12 * MIB + 3 * STEP, STEP, staying) == LONG[12 * MIB + 3 * STEP :][:STEP]
    assert len(opened.ranges.fetched) == fetches
    opened.reader.supply.leave(staying)
    assert opened.budget.held == 0


def test_leaving_while_a_read_waits(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """A read that waits gets its bytes though its handle is closed, and then nothing is held."""
    cursor = opened.cursor()
    opened.read_on(0, 1, cursor)
    opened.ranges.go.clear()
    waiting = threading.Semaphore(0)
    deadline = NotingDeadline(Deadline.after(PATIENCE).at, noted=waiting)
    future = pool.submit(opened.read, STEP, STEP, cursor, deadline)
    assert waiting.acquire(timeout=PATIENCE)
    opened.reader.supply.leave(cursor)
    opened.ranges.go.set()
    assert future.result(PATIENCE) == DATA[STEP : 2 * STEP]
    assert opened.budget.held == 0


def test_a_small_content_is_fetched_ahead_at_once() -> None:
    """A content that is fetched ahead whole costs one request, however it is then read."""
    opened = Opened(data=DATA[: 3 * STEP + 5])
    cursor = opened.cursor()
    assert opened.reader.supply.fetch_ahead(cursor, opened.content.size)
    assert opened.read_on(0, 4, cursor) == opened.data
    assert opened.read(3 * STEP, 5, cursor) == opened.data[3 * STEP :]
    assert opened.read(7, 100, cursor) == opened.data[7:107]
    assert opened.ranges.fetched == [(0, len(opened.data))]
    opened.reader.supply.leave(cursor)
    assert opened.budget.held == 0


def test_what_is_fetched_ahead_at_once_stays() -> None:
    """What was fetched ahead around the window of another handle is not given back before it is read."""
    opened = Opened(data=LONG[: 8 * MIB])
    staying, reading = opened.cursor(), opened.cursor()
    opened.read_on(4 * MIB, 3, staying)
    assert opened.reader.supply.fetch_ahead(reading, opened.content.size)
    fetches = len(opened.ranges.fetched)
    opened.read(0, STEP, reading)
    assert opened.read(7 * MIB, STEP, reading) == LONG[7 * MIB : 7 * MIB + STEP]
    assert len(opened.ranges.fetched) == fetches
    opened.close()
    assert opened.budget.held == 0


def test_fetching_ahead_needs_memory_and_an_open_reader() -> None:
    """Nothing is fetched ahead where the memory is not there, or after the end; reads go on all the same."""
    opened = Opened(budget=SIZE - 1)
    cursor = opened.cursor()
    assert not opened.reader.supply.fetch_ahead(cursor, opened.content.size)
    assert opened.ranges.fetched == []
    assert opened.read(0, STEP, cursor) == DATA[:STEP]
    opened.close()
    assert not opened.reader.supply.fetch_ahead(cursor, opened.content.size)
    assert opened.budget.held == 0


def test_closing_ends_waiting(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """Who waits when the reader is closed gets an error at once, and so does whoever comes later."""
    opened.ranges.go.clear()
    waiting = threading.Semaphore(0)
    future = pool.submit(opened.read, 0, 10, None, NotingDeadline(Deadline.after(PATIENCE).at, noted=waiting))
    assert waiting.acquire(timeout=PATIENCE)
    opened.close()
    assert opened.budget.held == 0
    assert isinstance(future.exception(PATIENCE), Closing)
    with pytest.raises(Closing):
        opened.read(0, 10)


def shortcut(cursor: Cursor, start: int, size: int) -> bytes | None:
    """What the shortcut serves."""
    ready = cursor.take_ready(start, start + size)
    if ready is None:
        return None
    part, pieces = ready
    data = b"".join(pieces)
    part.give_back()
    return data


def filled(part: Part) -> Part:
    """The part with the first bytes of `DATA` in its first block."""
    with part.filling():
        room = part.room()
        room[:] = DATA[: len(room)]
        part.advance(len(room))
    return part


def test_the_shortcut_serves_without_a_request() -> None:
    """What is left of the part that was read last is served at once, up to where the policy is to hear."""
    part = filled(Part(MIB, 2 * MIB, MemoryBuffer(MIB, Blocks())))
    cursor = Cursor(SIZE)
    assert shortcut(cursor, MIB, STEP) is None
    cursor.allow_shortcut(part, MIB + STEP)
    assert shortcut(cursor, MIB + STEP, STEP) == DATA[STEP : 2 * STEP]
    assert shortcut(cursor, MIB - 1, 2) is None
    assert shortcut(cursor, MIB + BLOCK, 1) is None


def test_the_shortcut_ends_where_the_policy_is_to_hear() -> None:
    """Not even the bytes that are here are served by the shortcut for ever: read-ahead is to go on."""
    part = filled(Part(0, BLOCK, MemoryBuffer(BLOCK, Blocks())))
    with part.filling():
        pass
    cursor = Cursor(SIZE)
    cursor.allow_shortcut(part, -STEP)
    assert shortcut(cursor, BLOCK - 2 * STEP, STEP) is not None
    assert shortcut(cursor, BLOCK - STEP, STEP) is None


def test_the_shortcut_ends_with_its_part() -> None:
    """A part that was dropped serves nothing, whatever its memory holds by now."""
    blocks = Blocks()
    part = filled(Part(0, BLOCK, MemoryBuffer(BLOCK, blocks)))
    cursor = Cursor(SIZE)
    cursor.allow_shortcut(part, STEP)
    assert shortcut(cursor, STEP, STEP) == DATA[STEP : 2 * STEP]
    part.drop()
    blocks.take()[:] = DATA[-BLOCK:]
    assert shortcut(cursor, STEP, STEP) is None


def test_nothing_is_served_after_the_close() -> None:
    """A read that the shortcut would serve gets Closing once the reader is closed."""
    opened = Opened(data=LONG)
    cursor = opened.cursor()
    opened.read_on(0, 2, cursor)
    assert shortcut(cursor, 2 * STEP, STEP) == LONG[2 * STEP : 3 * STEP]
    opened.close()
    other = Opened(data=LONG[::-1], beside=opened)
    other.read_on(0, 2)
    with pytest.raises(Closing):
        opened.read(2 * STEP, STEP, cursor)
    other.close()
    assert opened.budget.held == 0
