"""Parts are fetched once, the wanted ones first, and every failure reaches those who wait."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, ContentChanged, EmpiricalError, SpoolFailed, StoreUnavailable
from empirical_fs.reading.buffers import Blocks, MemoryBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.fetch.object_store import IN_FLIGHT, Body, Sink
from empirical_fs.reading.fetch.pool import Fetcher
from empirical_fs.reading.fetch.range_request import Filled, Ranges, WholeInstead
from empirical_fs.reading.part import Part
from empirical_fs.statistics import Statistics
from empirical_fs.work.lanes import Lane
from empirical_fs.work.reactor import Reactor
from empirical_fs.work.timer import Timer
from empirical_fs.work.waits import Readable, Steps
from tests.support.harness import wait_until
from tests.unit.conftest import read_part, zeros

PATIENCE = 10.0
SIZE = 64 * 2**20
How = Callable[[Fetcher, Content, Part, Callable[..., None]], None]
CONTENT = Content(Resource(id=1, name="a", size=SIZE, updated_ns=0, link=None), SIZE)


class Gate:
    """Something for which work waits as it does for the network."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()

    def set(self) -> None:
        self._outside.close()

    def close(self) -> None:
        self._inside.close()

    def opened(self) -> Steps[None]:
        # Each piece of work has a socket of its own.
        with self._inside.dup() as connected:
            assert (yield Readable(connected, PATIENCE))


class Blocked(Ranges):
    """A store whose answers wait for `go`, then fail if they are to, or fill all with zeros."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), Gate()
        self.error: BaseException | None = None
        self.whole: Body | None = None
        self.fetched: list[int] = []
        self.requests: list[tuple[int, int]] = []
        self.closed: list[int] = []
        """Where the bodies were that were closed."""

    def fetch(  # noqa: PLR0913, PLR0917 - as that of Ranges
        self,
        content: Content,
        start: int,
        stop: int,
        sink: Sink,
        request_stop: int | None = None,
        body: Body | None = None,
    ) -> Steps[Filled | WholeInstead]:
        self.fetched.append(start)
        self.begun.release()
        yield from self.go.opened()
        if self.error is not None:
            raise self.error
        if self.whole is not None:
            return WholeInstead(self.whole)
        request_stop = request_stop or stop
        if body is None:
            self.requests.append((start, request_stop))
            body = zeros(start, request_stop, self.closed.append)
        yield from body.pour(sink, start, stop)
        if stop < request_stop:
            return Filled(body)
        body.close()
        return Filled()


@pytest.fixture
def ranges() -> Iterator[Blocked]:
    ranges = Blocked()
    yield ranges
    ranges.go.set()
    ranges.go.close()


@pytest.fixture
def moved() -> list[int]:
    """What was said to have moved."""
    return []


@pytest.fixture
def fetcher(ranges: Blocked, moved: list[int], timer: Timer) -> Iterator[Fetcher]:
    reactor = Reactor(timer, 1)
    wanted = Lane("wanted", reactor, threads=4, most=IN_FLIGHT)
    ahead = Lane("ahead", reactor, threads=4, most=IN_FLIGHT // 2)
    yield Fetcher(ranges, Statistics(), moved.append, wanted, ahead)
    ranges.go.set()
    # What waits for a closed reactor keeps its socket until Python finds it.
    wait_until(lambda: not wanted._under_way and not ahead._under_way, "the end of all fetches")
    for each in (wanted, ahead, reactor):
        each.close()


def part(number: int = 0, size: int = 2**20) -> Part:
    return Part(number * size, (number + 1) * size, MemoryBuffer(size, Blocks()))


def never(body: Body, part: Part) -> None:
    raise AssertionError("no whole body was sent")


def outcome(waited: Part) -> EmpiricalError | None:
    """Why the end of a part did not come; None if it did."""
    try:
        read_part(waited, waited.stop - 1, waited.stop, Deadline.after(PATIENCE))
    except EmpiricalError as error:
        return error
    return None


@pytest.mark.parametrize("how", [Fetcher.fetch, Fetcher.fetch_ahead])
def test_a_part_is_fetched_once(fetcher: Fetcher, ranges: Blocked, how: How) -> None:
    """However often a part is asked for, it is fetched once."""
    wanted = part()
    for _ in range(3):
        how(fetcher, CONTENT, wanted, never)
    assert ranges.begun.acquire(timeout=PATIENCE)
    ranges.go.set()
    assert outcome(wanted) is None
    assert ranges.fetched == [0]


def test_who_waits_is_not_held_up_by_what_is_ahead(fetcher: Fetcher, ranges: Blocked) -> None:
    """A part for which a reader waits is asked for although more is fetched ahead than can be at once."""
    for number in range(2 * IN_FLIGHT):
        fetcher.fetch_ahead(CONTENT, part(number + 1), never)
    for _ in range(IN_FLIGHT // 2):
        assert ranges.begun.acquire(timeout=PATIENCE)
    assert not ranges.begun.acquire(blocking=False)
    fetcher.fetch(CONTENT, part(), never)
    assert ranges.begun.acquire(timeout=PATIENCE)
    assert ranges.fetched[-1] == 0


def test_what_waits_for_its_turn_may_be_wanted(fetcher: Fetcher, ranges: Blocked) -> None:
    """A part that waits behind others is fetched at once when a reader comes to need it, and only once."""
    parts = [part(number) for number in range(IN_FLIGHT)]
    for each in parts:
        fetcher.fetch_ahead(CONTENT, each, never)
    for _ in range(IN_FLIGHT // 2):
        assert ranges.begun.acquire(timeout=PATIENCE)
    fetcher.fetch(CONTENT, parts[-1], never)
    assert ranges.begun.acquire(timeout=PATIENCE)
    assert ranges.fetched[-1] == parts[-1].start
    ranges.go.set()
    assert [outcome(each) for each in parts] == [None] * IN_FLIGHT
    assert sorted(ranges.fetched) == [each.start for each in parts]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (StoreUnavailable("busy"), StoreUnavailable),
        (ContentChanged("changed"), ContentChanged),
        (OSError(28, "No space left on device"), SpoolFailed),
        (RuntimeError("a bug"), EmpiricalError),
    ],
)
@pytest.mark.parametrize("how", [Fetcher.fetch, Fetcher.fetch_ahead])
@pytest.mark.may_warn("ERROR .*: a fetch failed unexpectedly")
def test_whatever_goes_wrong_reaches_who_waits(
    fetcher: Fetcher,
    ranges: Blocked,
    how: How,
    error: BaseException,
    failure: type[EmpiricalError],
) -> None:
    """An error of any kind is the part's failure: no reader waits for its deadline, and nothing is lost."""
    ranges.error = error
    ranges.go.set()
    wanted = part()
    how(fetcher, CONTENT, wanted, never)
    assert isinstance(outcome(wanted), failure)


def test_what_nobody_wants_any_more_is_not_asked_for(fetcher: Fetcher, ranges: Blocked) -> None:
    """A part that is dropped before its turn costs no request, and its memory goes back."""
    dropped = part()
    dropped.drop()
    fetcher.fetch_ahead(CONTENT, dropped, never)
    fetcher.fetch(CONTENT, part(1), never)
    assert ranges.begun.acquire(timeout=PATIENCE)
    assert ranges.fetched == [2**20]
    assert isinstance(outcome(dropped), Closing)


def test_a_whole_body_is_handed_over(fetcher: Fetcher, ranges: Blocked) -> None:
    """Where the server sends everything, the open body goes to who asked, together with the part."""
    body = zeros(0, SIZE)
    handed: list[tuple[Body, Part]] = []
    is_handed = threading.Event()

    def take(body: Body, part: Part) -> None:
        handed.append((body, part))
        is_handed.set()

    ranges.whole = body
    ranges.go.set()
    wanted = part()
    fetcher.fetch(CONTENT, wanted, take)
    assert is_handed.wait(PATIENCE)
    assert handed == [(body, wanted)]


def test_what_is_fetched_ahead_is_told(fetcher: Fetcher, ranges: Blocked, moved: list[int]) -> None:
    """Each transfer ahead tells how much it moved, once it is over; what a reader waits for is not bulk."""
    ranges.go.set()
    parts = [part(number) for number in range(3)]
    for each in parts[:2]:
        fetcher.fetch_ahead(CONTENT, each, never)
    fetcher.fetch(CONTENT, parts[2], never)
    assert [outcome(each) for each in parts] == [None] * 3
    wait_until(lambda: len(moved) == 2, "two transfers told of")
    assert moved == [2**20, 2**20]


def test_a_request_that_goes_on(fetcher: Fetcher, ranges: Blocked) -> None:
    """Parts that follow one another come by one request, in turn or after a pause; then it is over."""
    ranges.go.set()
    parts = [part(number) for number in range(5)]
    for each in parts[:2]:
        fetcher.fetch_ahead(CONTENT, each, never, parts[3].stop)
    assert [outcome(each) for each in parts[:2]] == [None] * 2
    for each in parts[2:]:
        fetcher.fetch_ahead(CONTENT, each, never, max(each.stop, parts[3].stop))
    assert [outcome(each) for each in parts[2:]] == [None] * 3
    wait_until(lambda: len(ranges.closed) == 2, "both bodies closed")
    assert sorted(ranges.requests) == [(0, parts[3].stop), (parts[4].start, parts[4].stop)]
    assert sorted(ranges.closed) == [parts[3].stop, parts[4].stop]


def test_what_a_request_comes_to_next_is_not_asked_for_again(fetcher: Fetcher, ranges: Blocked) -> None:
    """A reader waits for the request that is about to come to its part, not for what is farther behind it."""
    parts = [part(number) for number in range(3)]
    for each in parts:
        fetcher.fetch_ahead(CONTENT, each, never, parts[-1].stop)
    assert ranges.begun.acquire(timeout=PATIENCE)
    fetcher.fetch(CONTENT, parts[1], never)
    fetcher.fetch(CONTENT, parts[2], never)
    assert ranges.begun.acquire(timeout=PATIENCE)
    assert ranges.fetched == [0, parts[2].start]
    ranges.go.set()
    assert [outcome(each) for each in parts] == [None] * 3
    assert sorted(ranges.requests) == [(0, parts[-1].stop), (parts[2].start, parts[2].stop)]


def test_a_request_does_not_go_on_past_what_was_dropped(fetcher: Fetcher, ranges: Blocked) -> None:
    """Where a part in the middle is not wanted any more, the next one takes a request of its own."""
    parts = [part(number) for number in range(3)]
    for each in parts:
        fetcher.fetch_ahead(CONTENT, each, never, parts[-1].stop)
    assert ranges.begun.acquire(timeout=PATIENCE)
    parts[1].drop()
    ranges.go.set()
    assert outcome(parts[0]) is None
    assert outcome(parts[2]) is None
    assert ranges.requests == [(0, parts[-1].stop), (parts[2].start, parts[2].stop)]
    wait_until(lambda: len(ranges.closed) == 2, "both bodies closed")
    assert ranges.closed == [parts[0].stop, parts[2].stop]


@pytest.mark.parametrize("is_moving", [False, True], ids=["parked", "moving"])
def test_nothing_is_left_open_of_what_is_forgotten(
    fetcher: Fetcher,
    ranges: Blocked,
    is_moving: bool,  # noqa: FBT001 - pytest gives it
) -> None:
    """The end of a content closes its request, at once or when the part under way is done."""
    first = part()
    fetcher.fetch_ahead(CONTENT, first, never, SIZE)
    assert ranges.begun.acquire(timeout=PATIENCE)
    if is_moving:
        fetcher.forget(CONTENT)
    ranges.go.set()
    assert outcome(first) is None
    if not is_moving:
        fetcher.forget(CONTENT)
    wait_until(lambda: ranges.closed == [first.stop], "the body closed")


class Answered:
    """A disk of which all is there, once the store has told which version it has; that comes in the midst."""

    may_be_redated = is_known = False

    @contextmanager
    def of(self, _: Content) -> "Iterator[Answered]":
        yield self

    def fill(self, part: Part) -> None:
        while self.is_known and not part.has(part.stop):
            part.advance(len(part.room()))
        self.is_known = True


def test_what_is_on_disk_is_not_fetched_when_another_request_tells_of_it(
    ranges: Blocked, timer: Timer
) -> None:
    """Of two parts that are asked for at once, the answer to one may tell what the disk has of the other."""
    reactor = Reactor(timer, 1)
    lane = Lane("wanted", reactor, threads=1, most=1)
    disk = cast(Disk, Answered())
    wanted = part()
    Fetcher(ranges, Statistics(), print, lane, lane, disk=disk).fetch(CONTENT, wanted, never)
    assert outcome(wanted) is None
    assert ranges.fetched == []
    for each in (lane, reactor):
        each.close()
