"""Fetches parts, and learns from the transfers how fast the link is."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from empirical_fs.errors import EmpiricalError, NoMemory, NoThread, SpoolFailed
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.concurrency import Link
from empirical_fs.reading.fetch.object_store import Body
from empirical_fs.reading.fetch.range_request import Filled, Ranges, WholeInstead
from empirical_fs.reading.fetch.runs import Run, Runs
from empirical_fs.reading.part import Part
from empirical_fs.statistics import Statistics
from empirical_fs.work.waits import Pause, Steps

if TYPE_CHECKING:  # not imported where the cache on disk is off
    from empirical_fs.reading.disk import Disk, OnDisk

OnWhole = Callable[[Body, Part], None]
"""Called when the server sends the whole content in place of a part; takes over the open body."""

OnMoved = Callable[[int], None]
"""Called with the number of bytes that a read-ahead transfer brought, by the thread that received them."""

Transferring = Callable[[Part], AbstractContextManager[object]]
"""The context in which a part is filled from the store."""

_TICK = 1e-6
_QUEUE_SECONDS, _KEPT_SECONDS = 0.05, 10.0
"""How often to look whether the disk has written, and after how long without that the rest is not kept."""


class Runner(Protocol):
    """Runs work that waits for the network."""

    def run(self, steps: Steps[None]) -> None:
        """Run these steps, which raise nothing, when it is their turn.

        Raises:
            NoThread: no thread can run them.
        """


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Total:
    """Totals at the moment `at`: seconds and bytes of all read-ahead transfers, and CPU seconds."""

    at: float
    seconds: float
    arrived: int
    computed: float


class Fetcher:
    """Fetches parts in the background; errors are passed to the reads that wait for the part.

    The lock guards what is known about the link, the running read-ahead transfers and their totals.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it fetches with, and who hears of it
        self,
        ranges: Ranges,
        statistics: Statistics,
        on_moved: OnMoved,
        wanted: Runner,
        ahead: Runner,
        runs: Runs | None = None,
        disk: "Disk | None" = None,
    ) -> None:
        """Fetch through `ranges`.

        Args:
            ranges: fetches the bytes from the store.
            statistics: counts requests and bytes.
            on_moved: called after every read-ahead transfer.
            wanted: runs the fetches for which a read waits.
            ahead: runs the others, so that they never delay those of `wanted`.
            runs: the requests that fill several parts; given if other objects must know them too.
            disk: has parts that were fetched before, and keeps those that are fetched; None without a cache.
        """
        self._ranges = ranges
        self._statistics = statistics
        self._on_moved = on_moved
        self._wanted, self._ahead = wanted, ahead
        self._runs = runs or Runs()
        self._disk = disk
        self._lock = threading.Lock()
        self._link = Link()
        self._running: set[Part] = set()
        self._seconds = self._counted_at = 0.0
        self._waited_at = float("-inf")
        self._arrived = 0

    @property
    def connections(self) -> int:
        """How many parallel transfers give the best throughput."""
        return self._link.connections

    @property
    def round_trip(self) -> float:
        """The shortest time in seconds that a request took lately; 0 if not known."""
        return self._link.round_trip

    @property
    def waited_at(self) -> float:
        """When a program last had to wait for bytes, on the monotonic clock."""
        return self._waited_at

    def is_waited_for(self) -> None:
        """Note that a program has to wait for bytes now."""
        self._waited_at = time.monotonic()

    def fetch(self, content: Content, part: Part, on_whole: OnWhole) -> None:
        """Begin to fetch a part for which a read waits, unless its fetch has begun or is about to.

        Raises:
            NoThread: no thread can fetch it.
        """
        if not self._runs.is_next(content, part):
            self._wanted.run(self._fill(Run(content, part.stop, part.stop), part, on_whole))

    def fetch_ahead(
        self, content: Content, part: Part, on_whole: OnWhole, request_stop: int | None = None
    ) -> None:
        """Fetch a part that is likely to be read, when its turn comes.

        The request asks for the bytes up to `request_stop`, by default the end of the part. If the next part,
        which begins where this one ends, is requested soon, the same request fills it too.

        Raises:
            NoThread: no thread can fetch it.
        """
        run = self._runs.add(content, part, request_stop or part.stop)
        if run is None:
            return
        try:
            self._ahead.run(self._fill_ahead(run, on_whole))
        except NoThread:
            self._runs.drop(run)
            raise

    def ask_again(self, content: Content, on_answered: Callable[[], object]) -> None:
        """Ask the store whether it still has this version; if not, `content` is over.

        `on_answered` is called when that is known, or cannot be found out now.

        Raises:
            NoThread: no thread can ask.
        """
        self._wanted.run(self._ask_again(content, on_answered))

    def forget(self, content: Content) -> None:
        """Close the open bodies of a content whose parts were dropped."""
        self._runs.forget(content)

    def fetch_whole(self, content: Content, whole: Part, body: Body) -> None:
        """Read an open body into `whole`; if it breaks off, request the rest."""
        self._wanted.run(self._fill_whole(content, whole, body))

    def _ask_again(self, content: Content, on_answered: Callable[[], object]) -> Steps[None]:
        try:
            with self._statistics.request("store"):
                yield from self._ranges.ask_again(content)
        except EmpiricalError as error:
            log.debug("resource %d, asked for again: %s", content.resource_id, error)
        except Exception:
            log.exception("asking the store again failed unexpectedly")
        on_answered()

    def _fill_whole(self, content: Content, whole: Part, body: Body) -> Steps[None]:
        with failing(whole), whole.filling(), _Counting(self._statistics, whole):
            yield from self._ranges.fetch(content, whole.start, whole.stop, whole, body=body)
            with self._on_disk(content) as on_disk:
                if on_disk is not None:
                    yield from _keep_all(on_disk, whole)

    def _fill(
        self, run: Run, part: Part, on_whole: OnWhole, transferring: Transferring = nullcontext
    ) -> Steps[None]:
        """Fill a part, if no other thread does: from the disk, and the rest from the store.

        The rest comes from the open body of `run` or by a new request, in the context `transferring`.
        """
        with failing(part), part.filling() as is_ours, self._on_disk(run.content) as on_disk:
            if not is_ours:
                return
            if on_disk is not None:
                yield from self._fill_from_disk(run.content, part, on_disk)
            start = part.start + part.arrived
            if start == part.stop:
                return
            begun, at = run.take_body(start), time.monotonic()
            with _Counting(self._statistics, part), transferring(part):
                fetched = yield from self._ranges.fetch(run.content, start, part.stop, part, run.stop, begun)
            if begun is None:
                with self._lock:
                    self._link.transferred(time.monotonic() - at)
            match fetched:
                case Filled(left_open):
                    run.body = left_open
                    if on_disk is not None:
                        on_disk.keep(part, start)
                case WholeInstead(body):
                    on_whole(body, part)

    def _fill_from_disk(self, content: Content, part: Part, on_disk: "OnDisk") -> Steps[None]:
        """Put what the disk has into `part`, and ask the store first if only that tells what it has."""
        was_known = on_disk.is_known
        on_disk.fill(part)
        if part.arrived or was_known:
            return
        if on_disk.may_be_redated:
            # One byte tells, in place of all that would be fetched in vain.
            yield from self._learn(content)
        if on_disk.is_known:
            # The answer to the request of another part may have come meanwhile.
            on_disk.fill(part)

    def _learn(self, content: Content) -> Steps[None]:
        """Ask the store which version it has; if it does not say, the fetch that follows tells why."""
        try:
            with self._statistics.request("store"):
                yield from self._ranges.ask_again(content)
        except EmpiricalError as error:
            log.debug("resource %d, asked for its version: %s", content.resource_id, error)

    def _on_disk(self, content: Content) -> "AbstractContextManager[OnDisk | None]":
        return nullcontext() if self._disk is None else self._disk.of(content)

    def _fill_ahead(self, run: Run, on_whole: OnWhole) -> Steps[None]:
        """Fill the parts of a run one after the other, as long as there are any."""
        while (part := self._runs.next(run)) is not None:
            if not part.is_begun:
                yield from self._fill(run, part, on_whole, self._observing)

    @contextmanager
    def _observing(self, part: Part) -> Iterator[None]:
        """Report to the `Link` what all read-ahead transfers brought while `part` was filled."""
        before, had = self._total(begun=part), part.arrived
        try:
            yield
        finally:
            after = self._total(ended=part)
            self._on_moved(part.arrived - had)
            if part.has(part.stop):
                seconds = max(after.at - before.at, _TICK)
                beside = (after.seconds - before.seconds) / seconds
                busy = (after.computed - before.computed) / seconds
                with self._lock:
                    self._link.observe(after.arrived - before.arrived, seconds, beside, busy)

    def _total(self, begun: Part | None = None, ended: Part | None = None) -> _Total:
        """The totals now; from now on `begun` is counted as running, and `ended` is not."""
        with self._lock:
            now = time.monotonic()
            seconds = self._seconds + len(self._running) * (now - self._counted_at)
            arrived = self._arrived + sum(part.arrived for part in self._running)
            self._seconds, self._counted_at = seconds, now
            if begun is not None:
                self._running.add(begun)
                self._arrived -= begun.arrived  # from the disk, before
            if ended is not None:
                self._running.remove(ended)
                self._arrived += ended.arrived
            return _Total(now, seconds, arrived, time.process_time())


def _keep_all(on_disk: "OnDisk", whole: Part) -> Steps[None]:
    """Have all of a part kept that may be larger than the queue of the disk, as fast as that writes."""
    at, until = whole.start, time.monotonic() + _KEPT_SECONDS
    while True:
        kept = on_disk.keep(whole, at)
        if kept > at:
            at, until = kept, time.monotonic() + _KEPT_SECONDS
        if at >= whole.stop or not on_disk.is_queue_full or time.monotonic() > until:
            return
        yield Pause(_QUEUE_SECONDS)


class _Counting:
    """Counts a request that fills `part`, and what it brings."""

    __slots__ = ("_before", "_part", "_statistics")

    def __init__(self, statistics: Statistics, part: Part) -> None:
        self._statistics = statistics
        self._part = part

    def __enter__(self) -> None:
        self._before = self._part.arrived
        self._statistics.begun("store")

    def __exit__(self, *_: object) -> None:
        self._statistics.over("store")
        self._statistics.fetched(self._part.arrived - self._before)


class failing:  # noqa: N801 - it is called like a function
    """Turn whatever is raised into the failure of `part`."""

    __slots__ = ("_part",)

    def __init__(self, part: Part) -> None:
        """Nothing has failed yet."""
        self._part = part

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Note the failure; it goes no further, unless the fetch itself ends by it."""
        if error is None:
            return False
        self._part.fail(_failure(error))
        return isinstance(error, Exception)


def _failure(error: BaseException) -> EmpiricalError:
    """What the reads of a part are told."""
    if isinstance(error, EmpiricalError):
        return error
    if isinstance(error, OSError):
        return SpoolFailed(f"no room for a file from a server without ranges: {error.strerror}")
    if isinstance(error, MemoryError):
        return NoMemory()
    if isinstance(error, GeneratorExit):
        return EmpiricalError("the fetch was given up")
    # Nobody else would report it, and the reads would wait until their deadlines.
    log.error("a fetch failed unexpectedly", exc_info=error)
    return EmpiricalError("an internal error; the log has more")
