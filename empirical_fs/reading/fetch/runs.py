"""Requests that each fill several parts, where memory only allows parts shorter than a request should be."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.concurrency import LEFT_OPEN
from empirical_fs.reading.fetch.object_store import Body
from empirical_fs.reading.part import Part

_PARKED_SECONDS = 5.0
"""Servers drop a client that reads nothing for long, and a program that paused may never read on."""


@dataclass(slots=True, eq=False)
class Run:
    """Consecutive parts of one content that one request fills.

    `body` belongs to the thread that fills the parts, if there is one.
    """

    content: Content
    stop: int
    """The offset at which the request ends."""
    reach: int
    """The offset after the last of the parts that were added."""
    waiting: deque[Part] = field(default_factory=deque)
    """The parts that must still be filled, in order."""
    body: Body | None = None
    """The body that was left open, read up to the end of the last filled part."""
    is_moving: bool = False
    """Whether a thread is filling its parts."""

    def take_body(self, start: int) -> Body | None:
        """Take over the open body if its next byte is at `start`; a body at another offset is closed."""
        if self.body is not None and self.body.at != start:
            self.close()
        body, self.body = self.body, None
        return body

    def close(self) -> None:
        """Close the body that was left open, if there is one."""
        body, self.body = self.body, None
        if body is not None:
            body.close()


class Runs:
    """All runs. A parked run has an open body, but no part to fill at the moment.

    The lock guards the runs and the parked ones; no body is closed while it is held.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, parked_most: int = LEFT_OPEN) -> None:
        """Begin without runs; `clock` returns seconds, at most `parked_most` bodies are left open."""
        self._clock = clock
        self._parked_most = parked_most
        self._lock = threading.Lock()
        self._of: dict[Content, list[Run]] = {}
        self._parked: dict[Run, float] = {}

    def add(self, content: Content, part: Part, stop: int) -> Run | None:
        """Add `part` to the run that will reach it, or to a new one whose request ends at `stop`.

        Returns that run if it needs a thread to fill its parts, None if a thread is already filling them.
        """
        with self._lock:
            for run in self._of.get(content, ()):
                if run.reach == part.start and part.stop <= run.stop:
                    run.waiting.append(part)
                    run.reach = part.stop
                    return run if self._parked.pop(run, None) is not None else None
            run = Run(content, stop, part.stop, deque([part]))
            if part.stop < stop:
                self._of.setdefault(content, []).append(run)
            return run

    def is_next(self, content: Content, part: Part) -> bool:
        """Whether a thread will fill `part` as soon as it has filled the part before."""
        if content not in self._of:
            return False
        with self._lock:
            return any(
                run.is_moving and run.waiting and run.waiting[0] is part for run in self._of.get(content, ())
            )

    def next(self, run: Run) -> Part | None:
        """The next part that the thread of `run` must fill; None if there is none, which frees the thread."""
        with self._lock:
            run.is_moving = bool(run.waiting)
            if run.waiting:
                return run.waiting.popleft()
            over = self._park(run)
        for each in over:
            each.close()
        return None

    def drop(self, run: Run) -> None:
        """End a run that no thread fills; a read that needs one of its parts fetches that by itself."""
        with self._lock:
            run.waiting.clear()
            self._end(run)
        run.close()

    def close_parked(self) -> None:
        """Close all parked bodies, whose connections other requests need."""
        with self._lock:
            parked = list(self._parked)
            for run in parked:
                self._end(run)
        for run in parked:
            run.close()

    def forget(self, content: Content) -> None:
        """End the runs of a content that is no longer read."""
        with self._lock:
            parked = [run for run in self._of.pop(content, ()) if self._parked.pop(run, None) is not None]
        for run in parked:
            run.close()

    def _park(self, run: Run) -> list[Run]:
        """Park `run` if it can be continued, otherwise end it; returns the ended runs, to be closed."""
        if run.body is None or run.body.at != run.reach or run not in self._of.get(run.content, ()):
            self._end(run)
            return [run]
        now = self._clock()
        self._parked[run] = now
        over = [each for each, since in self._parked.items() if since < now - _PARKED_SECONDS]
        over = over or list(self._parked)[: -self._parked_most]
        for each in over:
            self._end(each)
        return over

    def _end(self, run: Run) -> None:
        """Remove a run from the tables; its body stays open. The lock is held."""
        self._parked.pop(run, None)
        runs = self._of.get(run.content, [])
        if run in runs:
            runs.remove(run)
            if not runs:
                del self._of[run.content]
