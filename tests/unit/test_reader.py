import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from empirical_fs.reading.answers import Extent
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.content import Content
from empirical_fs.reading.ranges import Ranges
from empirical_fs.reading.readahead import FIRST_WINDOW, ReadAhead
from empirical_fs.reading.reader import Means, Reader
from empirical_fs.reading.readers import Readers
from empirical_fs.reading.store import Body
from empirical_fs.resource import Resource
from tests.unit.conftest import NotingDeadline

PATIENCE = 10.0
DATA = Random(1).randbytes(3 * 2**20 + 12_345)
SIZE = len(DATA)
STEP = 128 * 2**10
CHUNK = 100_001
Failure = Callable[[int, int], BaseException | None]


def resource(size: int | None = SIZE, updated_ns: int = 0) -> Resource:
    return Resource(id=1, name="a", url=None, size=size, updated_ns=updated_ns, link=None)


class FakeRanges(Ranges):
    """A store in memory, which may fail, wait, or know no ranges."""

    def __init__(self) -> None:
        self.fetched: list[tuple[int, int]] = []
        self.downloads = 0
        self.open_bodies = 0
        self.knows_ranges = True
        self.failure: Failure = lambda start, stop: None
        self.failure_of_the_whole: Callable[[], BaseException | None] = lambda: None
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def fetch(
        self, content: Content, start: int, stop: int, sink: Callable[[bytes], None], body: Body | None = None
    ) -> Body | None:
        if body is not None:
            try:
                error = self.failure_of_the_whole()
                if error is not None:
                    raise error
                for chunk in body.chunks():
                    sink(chunk)
            finally:
                body.close()
            return None
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
            with self._lock:
                self.open_bodies += 1
            return Body(Extent(0, SIZE, SIZE, None), self._chunks(), self._closed)
        for at in range(start, stop, CHUNK):
            sink(DATA[at : min(at + CHUNK, stop)])
        return None

    def _chunks(self) -> Iterator[bytes]:
        with self._lock:
            self.downloads += 1
        for at in range(0, SIZE, CHUNK):
            yield DATA[at : at + CHUNK]

    def _closed(self) -> None:
        with self._lock:
            self.open_bodies -= 1


class Opened:
    """A reader over a fake store."""

    def __init__(self, executor: Executor, budget: int = 64 * 2**20) -> None:
        self.ranges = FakeRanges()
        self.budget = Budget(budget)
        self.content = Content(resource(), SIZE)
        self.means = Means(self.ranges, self.budget, executor, executor)
        self.reader = Reader(self.content, self.means)

    def read(
        self, start: int, size: int, cursor: ReadAhead | None = None, deadline: Deadline | None = None
    ) -> bytes:
        return self.reader.read(cursor or ReadAhead(SIZE), start, size, deadline or Deadline.after(PATIENCE))

    def read_on(self, start: int, reads: int, cursor: ReadAhead | None = None) -> bytes:
        """What a sequential reader gets."""
        cursor = cursor or ReadAhead(SIZE)
        return b"".join(self.read(start + turn * STEP, STEP, cursor) for turn in range(reads))

    def close(self) -> None:
        self.reader.close()
        assert self.budget.held == 0


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


OFFSETS = st.integers(0, SIZE + 10) | st.sampled_from([0, SIZE - 1, SIZE - STEP, FIRST_WINDOW, SIZE])
READS = st.lists(st.tuples(OFFSETS, st.integers(0, 2 * STEP)), max_size=6)
"""Random reads: (offset, size)."""
STREAMS = st.tuples(OFFSETS, st.integers(0, 12))
"""A sequential reader: (offset, reads)."""


def run(opened: Opened, pool: Executor, readers: list[list[tuple[int, int]] | tuple[int, int]]) -> int:
    """Read side by side, check what comes, and count the reads that failed."""
    failures: list[EmpiricalError] = []

    def follow(reader: list[tuple[int, int]] | tuple[int, int]) -> None:
        cursor = ReadAhead(SIZE)
        if isinstance(reader, tuple):
            reader = [(reader[0] + turn * STEP, STEP) for turn in range(reader[1])]
        for start, size in reader:
            try:
                assert opened.read(start, size, cursor) == DATA[start : start + size]
            except EmpiricalError as error:
                failures.append(error)

    for future in [pool.submit(follow, reader) for reader in readers]:
        future.result(PATIENCE)
    return len(failures)


@settings(max_examples=25)
@given(
    readers=st.lists(READS | STREAMS, min_size=1, max_size=5),
    budget=st.sampled_from([0, FIRST_WINDOW, 2**30]),
    knows_ranges=st.booleans(),
)
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
    assert run(opened, pool, readers) == 0
    assert opened.budget.held <= budget
    opened.close()


@settings(max_examples=25)
@given(
    readers=st.lists(READS | STREAMS, min_size=1, max_size=5),
    knows_ranges=st.booleans(),
    random=st.randoms(use_true_random=False),
)
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
    run(opened, pool, readers)
    opened.close()


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
    asked = [(2**20, 5), (0, 7), (2 * 2**20, 1), (SIZE - 3, 3)]
    cursor = ReadAhead(SIZE)
    for start, size in asked:
        assert opened.read(start, size, cursor) == DATA[start : start + size]
    assert opened.ranges.fetched == [(start, start + size) for start, size in asked]
    assert opened.budget.held == 0


@pytest.mark.parametrize(("start", "size"), [(SIZE, 1), (SIZE + 5, 10), (0, 0), (2**60, 5)])
def test_nothing_beyond_the_end(opened: Opened, start: int, size: int) -> None:
    """A read at the end, beyond it, or of nothing is empty and costs no request."""
    assert opened.read(start, size) == b""
    assert opened.ranges.fetched == []


def test_readers_share_a_fetch(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """Readers that want the same bytes at the same time wait for one fetch."""
    opened.ranges.go.clear()
    first = pool.submit(opened.read, 100, 50)
    assert opened.ranges.begun.acquire(timeout=PATIENCE)
    waiting = threading.Semaphore(0)
    others = [
        pool.submit(opened.read, 110, 20, None, NotingDeadline(Deadline.after(PATIENCE).at, waiting))
        for _ in range(3)
    ]
    for _ in others:
        assert waiting.acquire(timeout=PATIENCE)
    opened.ranges.go.set()
    assert first.result(PATIENCE) == DATA[100:150]
    assert [other.result(PATIENCE) for other in others] == [DATA[110:130]] * 3
    assert opened.ranges.fetched == [(100, 150)]


def test_failing_read_ahead_fails_nobody(opened: Opened) -> None:
    """A reader whose own fetches work never sees that those ahead of it fail."""
    opened.ranges.failure = lambda start, stop: KeyRefused(401) if stop - start > STEP else None
    assert opened.read_on(0, 20) == DATA[: 20 * STEP]


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


def test_a_mistake_in_a_fetch_is_an_error(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that nobody expected fails the read at once, and is logged."""
    opened.ranges.failure = lambda start, stop: ZeroDivisionError("bug")
    with pytest.raises(EmpiricalError):
        opened.read(0, 10)
    assert ["should not" in record.message for record in caplog.records] == [True]


def test_changed_content_is_over(opened: Opened) -> None:
    """Once the content is known to have changed, every read says so, also of bytes that are here."""
    cursor = ReadAhead(SIZE)
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


def test_a_server_without_ranges_sends_once(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """A server that knows no ranges is asked for one download, however many read from it, and wherever."""
    opened.ranges.knows_ranges = False
    assert run(opened, pool, [(0, 25), (2**20, 10), [(SIZE - 5, 5), (0, 5)], [(7, 7)]]) == 0
    assert opened.ranges.downloads == 1
    assert opened.read(5, 5) == DATA[5:10]
    assert opened.ranges.open_bodies == 0


def test_a_download_that_failed_is_tried_again_by_the_next_read(opened: Opened) -> None:
    """After a download that broke off, the next read begins another one."""
    opened.ranges.knows_ranges = False
    failures = iter([BadAnswer("too long")])
    opened.ranges.failure_of_the_whole = lambda: next(failures, None)
    try:
        assert opened.read(5, 5) == DATA[5:10]
    except BadAnswer:
        assert opened.read(5, 5) == DATA[5:10]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SpoolFailed),
        (BadAnswer("the store sent more bytes than it announced"), BadAnswer),
    ],
)
def test_a_download_that_cannot_succeed_is_not_repeated_until_the_deadline(
    opened: Opened, failure: BaseException, expected: type[EmpiricalError]
) -> None:
    """A download that fails whenever it is tried fails the read with its reason, after a few tries."""
    opened.ranges.knows_ranges = False
    opened.ranges.failure_of_the_whole = lambda: failure
    with pytest.raises(EmpiricalError) as caught:
        opened.read(5, 5, deadline=Deadline.after(0.3))
    assert len(opened.ranges.fetched) <= 4
    assert isinstance(caught.value, expected)
    assert opened.ranges.open_bodies == 0


def test_read_ahead_is_bounded_by_the_budget(fetching: ThreadPoolExecutor) -> None:
    """Without memory nothing is fetched ahead, and reads go on all the same."""
    opened = Opened(fetching, budget=0)
    assert opened.read_on(0, 5) == DATA[: 5 * STEP]
    assert opened.ranges.fetched == [(at, at + STEP) for at in range(0, 5 * STEP, STEP)]
    opened.close()


def test_closing_ends_waiting(opened: Opened, pool: ThreadPoolExecutor) -> None:
    """Who waits when the reader is closed gets an error at once, and so does whoever comes later."""
    opened.ranges.go.clear()
    waiting = threading.Semaphore(0)
    future = pool.submit(opened.read, 0, 10, None, NotingDeadline(Deadline.after(PATIENCE).at, waiting))
    assert waiting.acquire(timeout=PATIENCE)
    opened.close()
    assert isinstance(future.exception(PATIENCE), Closing)
    with pytest.raises(Closing):
        opened.read(0, 10)


def test_handles_share_a_content(opened: Opened) -> None:
    """Handles on an unchanged resource have one content, also after the last one was closed."""
    readers = Readers(opened.means)
    first, second = readers.open(resource()), readers.open(resource())
    assert first.content is second.content
    assert first.read(5, 5, Deadline.after(PATIENCE)) == DATA[5:10]
    first.close()
    assert second.read(9, 1, Deadline.after(PATIENCE)) == DATA[9:10]
    second.close()
    third = readers.open(resource())
    assert third.content is first.content
    assert third.read(0, 2, Deadline.after(PATIENCE)) == DATA[:2]
    third.close()


@pytest.mark.parametrize("newer", [resource(size=SIZE - 1), resource(updated_ns=1)])
def test_another_version_is_another_content(opened: Opened, newer: Resource) -> None:
    """A resource that was replaced has another content, and the older handle keeps its own."""
    readers = Readers(opened.means)
    old, new = readers.open(resource()), readers.open(newer)
    assert old.content is not new.content
    assert new.content.size == newer.size
    for handle in (old, new):
        handle.close()


def test_content_that_is_over_is_not_opened_again(opened: Opened) -> None:
    """After the store has shown a change, a new handle gets a new content, whatever the listing says."""
    readers = Readers(opened.means)
    old = readers.open(resource())
    old.content.end()
    new = readers.open(resource())
    assert new.content is not old.content
    for handle in (old, new):
        handle.close()


def test_unknown_size_is_not_opened(opened: Opened) -> None:
    """A resource whose size is not known cannot be opened: its size has to be found first."""
    with pytest.raises(BadAnswer):
        Readers(opened.means).open(resource(size=None))


def test_closing_all(opened: Opened) -> None:
    """Closing the readers ends every handle."""
    readers = Readers(opened.means)
    handle = readers.open(resource())
    readers.close()
    with pytest.raises(Closing):
        handle.read(0, 1, Deadline.after(PATIENCE))
    handle.close()


def test_etag_is_learnt_once() -> None:
    """The first ETag stays; an answer without one says nothing, and another one ends the content."""
    content = Content(resource(), SIZE)
    content.learn(None)
    content.learn('"a"')
    content.learn(None)
    content.learn('"a"')
    assert (content.etag, content.is_over) == ('"a"', False)
    with pytest.raises(ContentChanged):
        content.learn('"b"')
    assert content.is_over
    assert not content.is_as_listed(resource())
