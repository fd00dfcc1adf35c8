"""Fetches parts, and learns what the transfers show of the link."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from empirical_fs.errors import EmpiricalError, NoMemory, NoThread, SpoolFailed
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.concurrency import Link
from empirical_fs.reading.fetch.object_store import Body
from empirical_fs.reading.fetch.range_request import Filled, Ranges, WholeInstead
from empirical_fs.reading.fetch.runs import Run, Runs
from empirical_fs.reading.part import Part
from empirical_fs.statistics import Statistics
from empirical_fs.work.waits import Steps

OnWhole = Callable[[Body, Part], None]
"""Told that the server sent the whole content in place of a part; takes over the open body."""

OnMoved = Callable[[int], None]
"""Told how many bytes a transfer ahead has brought, by the thread that moved them."""

_TICK = 1e-6


class Runner(Protocol):
    """Does work that waits."""

    def run(self, steps: Steps[None]) -> None:
        """Do these steps, which raise nothing, when it is their turn.

        Raises:
            NoThread: nobody can do them.
        """


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Total:
    """What came to pass by a moment: seconds of all transfers ahead and their bytes, and CPU seconds."""

    at: float
    seconds: float
    arrived: int
    computed: float


class Fetcher:
    """Fetches parts in the background; whatever goes wrong goes to those who wait for the part.

    The lock guards what is known of the link, and the transfers ahead that are under way and their totals.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it fetches with, and who hears of it
        self,
        ranges: Ranges,
        statistics: Statistics,
        on_moved: OnMoved,
        wanted: Runner,
        ahead: Runner,
        runs: Runs | None = None,
    ) -> None:
        """Fetch by `ranges`.

        Args:
            ranges: where the bytes come from.
            statistics: counts them.
            on_moved: told of every transfer ahead.
            wanted: does the fetches for which a reader waits.
            ahead: does the others, so that these never hold up the first.
            runs: the requests that go on, if somebody else is to know of them, too.
        """
        self._ranges = ranges
        self._statistics = statistics
        self._on_moved = on_moved
        self._wanted, self._ahead = wanted, ahead
        self._runs = runs or Runs()
        self._lock = threading.Lock()
        self._link = Link()
        self._running: set[Part] = set()
        self._seconds = self._counted_at = 0.0
        self._arrived = 0

    @property
    def connections(self) -> int:
        """How many transfers side by side the link rewards."""
        return self._link.connections

    @property
    def round_trip(self) -> float:
        """Seconds that a request takes at least, as far as is known; 0 if it is not."""
        return self._link.round_trip

    def fetch(self, content: Content, part: Part, on_whole: OnWhole) -> None:
        """Begin to fetch a part for which a reader waits, unless that has begun or is about to.

        Raises:
            NoThread: nobody can fetch it.
        """
        if not self._runs.is_next(content, part):
            self._wanted.run(self._fill(Run(content, part.stop, part.stop), part, on_whole))

    def fetch_ahead(
        self, content: Content, part: Part, on_whole: OnWhole, request_stop: int | None = None
    ) -> None:
        """Fetch a part that is likely to be read, when its turn comes.

        It comes by a request for the bytes up to `request_stop`, its own end by default; by that one a part
        that begins where this one ends comes too, if it is asked for soon.

        Raises:
            NoThread: nobody can fetch it.
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
        """Ask the store whether it still has what was read of `content`, which ends if not.

        `on_answered` is told when that is known, or cannot be known now.

        Raises:
            NoThread: nobody can ask.
        """
        self._wanted.run(self._ask_again(content, on_answered))

    def forget(self, content: Content) -> None:
        """Leave nothing open of a content whose parts were dropped."""
        self._runs.forget(content)

    def fetch_whole(self, content: Content, whole: Part, body: Body) -> None:
        """Put an open body, and what it lacks if it breaks off, into `whole`."""
        self._wanted.run(self._fill_whole(content, whole, body))

    def _ask_again(self, content: Content, on_answered: Callable[[], object]) -> Steps[None]:
        try:
            with self._statistics.request("store"):
                yield from self._ranges.ask_again(content)
        except EmpiricalError as error:
            log.debug("resource %d, asked for again: %s", content.resource_id, error)
        except Exception:
            log.exception("the store could not be asked again, in a way that should not be")
        on_answered()

    def _fill_whole(self, content: Content, whole: Part, body: Body) -> Steps[None]:
        with failing(whole), whole.filling(), self._counting(whole):
            yield from self._ranges.fetch(content, whole.start, whole.stop, whole, body=body)

    def _fill(self, run: Run, part: Part, on_whole: OnWhole) -> Steps[None]:
        with failing(part), part.filling() as is_ours:
            if is_ours:
                begun, at = run.take_body(part.start), time.monotonic()
                with self._counting(part):
                    fetched = yield from self._ranges.fetch(
                        run.content, part.start, part.stop, part, run.stop, begun
                    )
                if begun is None:
                    with self._lock:
                        self._link.transferred(time.monotonic() - at)
                match fetched:
                    case Filled(left_open):
                        run.body = left_open
                    case WholeInstead(body):
                        on_whole(body, part)

    @contextmanager
    def _counting(self, part: Part) -> Iterator[None]:
        with self._statistics.request("store"):
            try:
                yield
            finally:
                self._statistics.fetched(part.arrived)

    def _fill_ahead(self, run: Run, on_whole: OnWhole) -> Steps[None]:
        while (part := self._runs.next(run)) is not None:
            if not part.is_begun:
                yield from self._fill_observed(run, part, on_whole)

    def _fill_observed(self, run: Run, part: Part, on_whole: OnWhole) -> Steps[None]:
        before = self._total(begun=part)
        try:
            yield from self._fill(run, part, on_whole)
        finally:
            after = self._total(ended=part)
            self._on_moved(part.arrived)
            if part.has(part.stop):
                seconds = max(after.at - before.at, _TICK)
                beside = (after.seconds - before.seconds) / seconds
                busy = (after.computed - before.computed) / seconds
                with self._lock:
                    self._link.observe(after.arrived - before.arrived, seconds, beside, busy)

    def _total(self, begun: Part | None = None, ended: Part | None = None) -> _Total:
        """Count up to now, and from now on with `begun` and without `ended`."""
        with self._lock:
            now = time.monotonic()
            seconds = self._seconds + len(self._running) * (now - self._counted_at)
            arrived = self._arrived + sum(part.arrived for part in self._running)
            self._seconds, self._counted_at = seconds, now
            if begun is not None:
                self._running.add(begun)
            if ended is not None:
                self._running.remove(ended)
                self._arrived += ended.arrived
            return _Total(now, seconds, arrived, time.process_time())


@contextmanager
def failing(part: Part) -> Iterator[None]:
    """Turn whatever is raised into the failure of `part`."""
    try:
        yield
    except EmpiricalError as error:
        part.fail(error)
    except OSError as error:
        part.fail(SpoolFailed(f"no room for a file from a server without ranges: {error.strerror}"))
    except MemoryError:
        part.fail(NoMemory())
    except GeneratorExit:
        part.fail(EmpiricalError("the fetch was given up"))
        raise
    except Exception:
        # The executor would keep it to itself, and the readers would wait until their deadline.
        log.exception("a fetch failed in a way that it should not")
        part.fail(EmpiricalError("an internal error; the log has more"))
