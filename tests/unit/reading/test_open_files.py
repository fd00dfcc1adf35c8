"""Open files share what was fetched of one version, and a version that is over is not opened again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.api.resource import Resource
from empirical_fs.clock import Deadline
from empirical_fs.errors import BadAnswer, Closing, ContentChanged, StoreUnavailable
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import Blocks
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.pool import Fetcher
from empirical_fs.reading.habits import TRUSTED_EARLY, TRUSTED_LATE
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.read_ahead import NoReadAhead, ReadAhead
from empirical_fs.reading.supply import Means
from empirical_fs.reading.version import Extent, Head, Validators
from empirical_fs.statistics import Statistics
from empirical_fs.work.timer import Alarm, Timer
from tests.unit.conftest import Inline, Waiting, unnoticed
from tests.unit.reading.test_reader import DATA, MIB, PATIENCE, SIZE, STEP, FakeRanges


def resource(size: int | None = SIZE, updated_ns: int = 0) -> Resource:
    return Resource(id=1, name="a", size=size, updated_ns=updated_ns, link=None)


class FarFetcher(Fetcher):
    """One whose store is far away, as it says."""

    @property
    def round_trip(self) -> float:
        return 0.08


class TimerByHand(Timer):
    """One whose alarms ring when the test wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[Alarm] = []

    def after(self, seconds: float, call: Callable[[], object]) -> Alarm:
        self.alarms.append(Alarm(call))
        return self.alarms[-1]

    def ring(self) -> None:
        for alarm in self.alarms:
            alarm.ring()


class Files:
    """Readers over a fake store."""

    def __init__(
        self, budget: int = 64 * MIB, timer: Timer | None = None, fetcher: type[Fetcher] = Fetcher
    ) -> None:
        self.ranges = FakeRanges()
        self.budget = Budget(budget)
        fetching = fetcher(self.ranges, Statistics(), unnoticed, Inline(), Inline())
        means = Means(fetching, self.budget, Blocks(), Statistics())
        # What is fetched ahead is what these tests are about.
        means.habits.closed(SIZE, SIZE)
        self.readers = Readers(means, lambda _: float("-inf"), timer or Timer())
        self.told: list[Handle] = []

    def open(self, of: Resource | None = None) -> Handle:
        return self.readers.open(of or resource(), self.told.append)


@pytest.fixture
def files() -> Iterator[Files]:
    files = Files()
    yield files
    files.readers.close()
    assert files.budget.held == 0


def read(handle: Handle, start: int, size: int) -> bytes:
    return Waiting().bytes_of(lambda waiter: handle.read(start, size, waiter), Deadline.after(PATIENCE))


def test_handles_share_a_content(files: Files) -> None:
    """Handles on an unchanged resource have one content, also after the last one was closed."""
    first, second = files.open(), files.open()
    assert first.content is second.content
    assert read(first, 5, 5) == DATA[5:10]
    first.close()
    assert read(second, 9, 1) == DATA[9:10]
    second.close()
    third = files.open()
    assert third.content is first.content
    assert read(third, 0, 2) == DATA[:2]
    third.close()


def test_handles_share_what_is_fetched(files: Files) -> None:
    """Two handles that read the same in step download it once."""
    first, second = files.open(), files.open()
    for start in range(0, SIZE, STEP):
        assert read(first, start, STEP) == read(second, start, STEP) == DATA[start : start + STEP]
    assert files.ranges.total == SIZE
    first.close()
    second.close()
    assert files.budget.held == 0


def test_closing_one_handle_leaves_the_others(files: Files) -> None:
    """A handle that is closed gives back its window, and the other one keeps what is ahead of it."""
    leaving, staying = files.open(), files.open()
    for start in (0, STEP):
        read(leaving, start, STEP)
    for start in (2 * MIB, 2 * MIB + STEP):
        read(staying, start, STEP)
    leaving.close()
    assert files.budget.held > 0
    fetches = len(files.ranges.fetched)
    assert read(staying, 2 * MIB + 2 * STEP, STEP) == DATA[2 * MIB + 2 * STEP :][:STEP]
    assert len(files.ranges.fetched) == fetches
    staying.close()
    assert files.budget.held == 0


@pytest.mark.parametrize("newer", [resource(size=SIZE - 1), resource(updated_ns=1)])
def test_another_version_is_another_content(files: Files, newer: Resource) -> None:
    """A resource that was replaced has another content, and the older handle keeps its own."""
    old, new = files.open(), files.open(newer)
    assert old.content is not new.content
    assert new.content.size == newer.size
    for handle in (old, new):
        handle.close()


def test_content_that_is_over_is_not_opened_again(files: Files) -> None:
    """After the store has shown a change, a new handle gets a new content, whatever the listing says."""
    old = files.open()
    old.content.end()
    new = files.open()
    assert new.content is not old.content
    for handle in (old, new):
        handle.close()


def test_unknown_size_is_not_opened(files: Files) -> None:
    """A resource whose size is not known cannot be opened: its size has to be found first."""
    with pytest.raises(BadAnswer):
        files.open(resource(size=None))


def test_the_first_read_is_told(files: Files) -> None:
    """That a handle is read is told once, at its first read, and not when it is opened."""
    first, second = files.open(), files.open()
    assert files.told == []
    for _ in range(3):
        read(second, 0, 1)
    assert files.told == [second]
    read(first, 0, 1)
    assert files.told == [second, first]
    for handle in (first, second):
        handle.close()


@pytest.mark.parametrize(("window", "requests"), [(STEP, [(0, 2 * STEP)]), (2 * STEP, [(0, STEP)])])
def test_the_beginning_comes_by_one_request(
    files: Files, window: int, requests: list[tuple[int, int]]
) -> None:
    """Who asks for as much as the kernel reads ahead gets 256 KiB at once, unless that is more."""
    files.readers.habits.closed(SIZE, 1)
    files.readers.kernel_window = window
    handle = files.open()
    assert read(handle, 0, STEP) == DATA[:STEP]
    assert files.ranges.fetched == requests
    if len(requests) == 1 and requests[0][1] > STEP:
        assert read(handle, STEP, STEP) == DATA[STEP : 2 * STEP]
        assert files.ranges.fetched == requests
    handle.close()
    assert files.budget.held == 0


@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_read_that_may_be_ahead_waits_for_the_close(*, is_given_up: bool) -> None:
    """What follows an answered read is asked for a moment later; not if it is given up before."""
    timer = TimerByHand()
    files = Files(timer=timer, fetcher=FarFetcher)
    files.readers.habits.closed(SIZE, 1)
    handle, waiting = files.open(), Waiting()
    assert read(handle, 0, 8192) == DATA[:8192]
    cancel = handle.read(8192, 16384, waiting)
    assert files.ranges.fetched == [(0, 8192)]
    if is_given_up:
        cancel()
    timer.ring()
    assert files.ranges.fetched == [(0, 8192), (8192, 24576)][: 1 + (not is_given_up)]
    if not is_given_up:
        assert waiting.bytes_of(lambda _: cancel, Deadline.after(PATIENCE)) == DATA[8192:24576]
    handle.close()
    assert files.budget.held == 0


def test_a_reader_that_is_trusted_does_not_wait() -> None:
    """Where the last file was read whole, nothing is put off."""
    timer = TimerByHand()
    files = Files(timer=timer, fetcher=FarFetcher)
    handle = files.open()
    assert read(handle, 0, 8192) + read(handle, 8192, 16384) == DATA[:24576]
    assert timer.alarms == []
    handle.close()


@pytest.mark.parametrize("is_killed", [True, False])
def test_who_had_no_byte_has_shown_nothing(files: Files, *, is_killed: bool) -> None:
    """The next reader is trusted as before where one was killed before its first byte, less after a look."""
    handle = files.open()
    if is_killed:
        files.ranges.failure = lambda start, stop: StoreUnavailable("busy")
        with pytest.raises(StoreUnavailable):
            read(handle, 0, STEP)
    else:
        assert read(handle, 0, STEP) == DATA[:STEP]
    handle.close()
    assert files.readers.habits.trusted_at == (TRUSTED_EARLY if is_killed else TRUSTED_LATE)


def test_a_whole_content_is_fetched_ahead(files: Files) -> None:
    """A handle that was fetched ahead whole is read without another request, and gives all back."""
    handle = files.open()
    assert handle.fetch_ahead()
    assert files.told == []
    for start in range(0, SIZE, STEP):
        assert read(handle, start, STEP) == DATA[start : start + STEP]
    assert files.ranges.fetched == [(0, SIZE)]
    handle.close()
    assert files.budget.held == 0


def test_closing_all(files: Files) -> None:
    """Closing the readers ends every handle."""
    handle = files.open()
    read(handle, 0, 1)
    files.readers.close()
    with pytest.raises(Closing):
        read(handle, 0, 1)
    handle.close()


@settings(max_examples=25)
@given(
    handles=st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, 12)), min_size=1, max_size=6),
    budget=st.sampled_from([0, MIB, 64 * MIB]),
)
def test_opening_and_closing_side_by_side(
    pool: ThreadPoolExecutor, handles: list[tuple[int, int]], budget: int
) -> None:
    """Handles that come, read and go in threads get the right bytes, and all memory is given back."""
    files = Files(budget)

    def come_and_go(begin: int, reads: int) -> None:
        handle = files.open()
        for start in range(begin, begin + reads * STEP, STEP):
            assert read(handle, start, STEP) == DATA[start : start + STEP]
        handle.close()

    for future in [pool.submit(come_and_go, *handle) for handle in handles]:
        future.result(PATIENCE)
    assert files.budget.held == 0


def head(etag: str | None, total: int | None = SIZE) -> Head:
    return Head(Extent(0, 1), Validators(etag), total)


def test_validators_are_learnt_once() -> None:
    """The first validators stay; an answer without them is of no use, and others end the content."""
    content = Content(resource(), SIZE)
    content.tie(head('"a"'), is_listed=True)
    with pytest.raises(BadAnswer):
        content.tie(head(None), is_listed=True)
    content.tie(head('"a"'), is_listed=True)
    assert (content.validators, content.is_over) == (Validators('"a"'), False)
    with pytest.raises(ContentChanged):
        content.tie(head('"b"'), is_listed=True)
    assert content.is_over
    assert not content.is_as_listed(resource())
    with pytest.raises(ContentChanged):
        content.tie(head('"a"'), is_listed=True)


def test_a_content_whose_bytes_are_untied_learns_nothing() -> None:
    """A validator that comes up after bytes without one ends the content, rather than being adopted."""
    content = Content(resource(), SIZE)
    content.tie(head(None), is_listed=True)
    assert content.is_without_validators
    with pytest.raises(ContentChanged):
        content.tie(head('"b"'), is_listed=True)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (resource(), True),
        (resource(None), True),
        (resource(updated_ns=1), False),
        (resource(SIZE + 1), False),
        (None, False),
    ],
)
def test_described_by_a_listing(listed: Resource | None, *, expected: bool) -> None:
    """A content is what the listing has as long as its date and size are; an unknown size says nothing."""
    assert Content(resource(), SIZE).is_described_by(listed) is expected


def test_a_young_content_is_asked_for_again() -> None:
    """The store is asked again for a young content that was read, until it answers by another object.

    Another one than that of a version that had not settled is no proof: it may be one of two changes.
    """
    now = 100.0
    first = Content(resource(), SIZE, young_until=150, clock=lambda: now)
    assert not first.is_to_be_asked(now + 1)
    first.tie(head('"a"'), is_listed=True)
    assert first.is_to_be_asked(now + 1)
    first.asked()
    assert not first.is_to_be_asked(now)
    assert first.is_to_be_asked(now + 1)
    behind = Content(resource(updated_ns=1), SIZE, before=first, young_until=150, clock=lambda: now)
    behind.tie(head('"b"'), is_listed=True)
    assert behind.is_to_be_asked(now + 1)
    caught_up = Content(resource(), SIZE, before=first, young_until=150, clock=lambda: now)
    caught_up.tie(head('"b"'), is_listed=True)
    assert not caught_up.is_to_be_asked(now + 1)
    now = 200.0
    first.asked()
    assert first.has_settled
    now = 100.0
    same = Content(resource(updated_ns=1), SIZE, before=first, young_until=150, clock=lambda: now)
    same.tie(head('"a"'), is_listed=True)
    assert same.is_to_be_asked(now + 1)
    other = Content(resource(updated_ns=1), SIZE, before=first, young_until=150, clock=lambda: now)
    other.tie(head('"b"'), is_listed=True)
    assert not other.is_to_be_asked(now + 1)


def test_a_replica_that_falls_back() -> None:
    """The object of the version before is no proof that the store has caught up, whatever came between."""
    now = 100.0
    old = Content(resource(), SIZE, clock=lambda: now)
    old.tie(head('"a"'), is_listed=True)
    assert old.has_settled

    def next_of(before: Content, etag: str) -> Content:
        content = Content(resource(updated_ns=1), SIZE, before=before, young_until=150, clock=lambda: now)
        content.tie(head(etag), is_listed=True)
        return content

    new = next_of(old, '"b"')
    assert not new.is_to_be_asked(now + 1)
    fallen_back = next_of(new, '"a"')
    assert fallen_back.is_to_be_asked(now + 1)
    again = next_of(fallen_back, '"b"')
    assert again.is_to_be_asked(now + 1)
    assert not next_of(again, '"c"').is_to_be_asked(now + 1)


@pytest.mark.parametrize(("etag", "expected"), [('"a"', False), (None, True)])
def test_a_listing_ends_what_nothing_ties(etag: str | None, *, expected: bool) -> None:
    """A listing with another version ends a content without exact validators, for good."""
    content = Content(resource(), SIZE)
    content.relisted(resource(updated_ns=1))
    assert not content.is_over
    modified = Validators(etag, last_modified="noon")
    content.tie(Head(Extent(0, 1), modified, SIZE), is_listed=True)
    content.relisted(resource())
    assert not content.is_over
    content.relisted(resource(updated_ns=1))
    assert content.is_over is expected


def test_what_was_deleted_is_forgotten(files: Files) -> None:
    """Nothing is kept of a resource that is listed no more, once nobody has it open."""
    handle = files.open()
    files.readers.relisted([handle.content.resource_id], {})
    assert files.readers.latest(resource()) is handle.content
    handle.close()
    other = msgspec.structs.replace(resource(), id=2)
    files.open(other).close()
    assert files.readers.latest(other) is not None
    files.readers.relisted([2], {})
    assert files.readers.latest(resource()) is None
    assert files.readers.latest(other) is None


def test_a_content_that_is_out_of_touch(files: Files) -> None:
    """A content to which no answer of the store can be tied ends when it is opened again by nobody else."""
    handle = files.open()
    content = handle.content
    content.tie(head('"a"'), is_listed=True)
    modified = Head(Extent(0, 1), Validators(last_modified="noon"), SIZE)
    with pytest.raises(BadAnswer):
        content.tie(modified, is_listed=True)
    files.readers.end_lost(resource())
    assert not content.is_over
    handle.close()
    files.readers.end_lost(resource())
    assert content.is_over
    again = files.open()
    assert again.content is not content
    again.content.tie(modified, is_listed=True)
    files.readers.end_lost(resource())
    assert not again.content.is_over
    again.close()


def test_ranges_that_a_program_names_are_fetched_alone(files: Files) -> None:
    """Nothing is read ahead of them, in whatever order they come, and they show no habit."""
    habit = files.readers.habits.trusted_at
    handle = files.open()
    handle.trust_reads()
    handle.plan_by(NoReadAhead())
    starts = [*range(0, SIZE - STEP, 3 * STEP)]
    for start in starts:
        assert read(handle, start, STEP) == DATA[start : start + STEP]
    assert files.ranges.total == len(starts) * STEP
    handle.close()
    assert files.readers.habits.trusted_at == habit


def test_a_range_is_read_ahead_to_its_end(files: Files) -> None:
    """What comes after it is left alone."""
    handle, stop = files.open(), SIZE // 2
    handle.plan_by(ReadAhead(stop))
    for start in range(0, stop, STEP):
        assert read(handle, start, min(STEP, stop - start)) == DATA[start : min(start + STEP, stop)]
    assert files.ranges.total == stop
    handle.close()
