"""Requests that go on over several parts, where memory allows no parts as long as requests should be."""

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
"""Servers give up a client that takes nothing for long, and a reader that paused may never come back."""


@dataclass(slots=True, eq=False)
class Run:
    """Parts of one content, one after the other, to be brought by one request.

    `body` and what it stands for belong to the thread that fills the parts, if there is one.
    """

    content: Content
    stop: int
    """The offset to which the request asks for bytes."""
    reach: int
    """The offset after the last of the parts that were added."""
    waiting: deque[Part] = field(default_factory=deque)
    """Those that are still to be filled, in order."""
    body: Body | None = None
    """Left open at the end of the part that was filled last."""
    is_moving: bool = False
    """Whether a thread fills its parts."""

    def take_body(self, start: int) -> Body | None:
        """The open body, if it is at `start`; one that is elsewhere is closed."""
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
    """Which requests go on. The lock guards the runs and what is parked; no body is closed under it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, parked_most: int = LEFT_OPEN) -> None:
        """Nothing is under way; `clock` tells seconds, and `parked_most` bodies are left open at most."""
        self._clock = clock
        self._parked_most = parked_most
        self._lock = threading.Lock()
        self._of: dict[Content, list[Run]] = {}
        self._parked: dict[Run, float] = {}

    def add(self, content: Content, part: Part, stop: int) -> Run | None:
        """Have `part` filled by the run that is to come to it, or by a new one that asks as far as `stop`.

        That run is returned where a thread is needed to fill its parts, None where one is at it already.
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
        """Whether a thread comes to `part` as soon as it has filled the one before."""
        with self._lock:
            return any(
                run.is_moving and run.waiting and run.waiting[0] is part for run in self._of.get(content, ())
            )

    def next(self, run: Run) -> Part | None:
        """The part that the thread of `run` is to fill next; None if there is none, and the thread may go."""
        with self._lock:
            run.is_moving = bool(run.waiting)
            if run.waiting:
                return run.waiting.popleft()
            over = self._park(run)
        for each in over:
            each.close()
        return None

    def drop(self, run: Run) -> None:
        """End a run that nobody moves: whoever needs its parts begins them."""
        with self._lock:
            run.waiting.clear()
            self._end(run)
        run.close()

    def close_parked(self) -> None:
        """Close what is left open and not being read: it is in the way of other requests."""
        with self._lock:
            parked = list(self._parked)
            for run in parked:
                self._end(run)
        for run in parked:
            run.close()

    def forget(self, content: Content) -> None:
        """End the runs of a content that is not read any more."""
        with self._lock:
            parked = [run for run in self._of.pop(content, ()) if self._parked.pop(run, None) is not None]
        for run in parked:
            run.close()

    def _park(self, run: Run) -> list[Run]:
        """Leave `run` open until more is wanted of it, if it may be; the runs that are over by that."""
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
        self._parked.pop(run, None)
        runs = self._of.get(run.content, [])
        if run in runs:
            runs.remove(run)
            if not runs:
                del self._of[run.content]
