"""Calls functions at given times: one thread for all deadlines."""

import heapq
import logging
import threading
import time
from collections.abc import Callable
from itertools import count

from empirical_fs.errors import NoThread
from empirical_fs.work.threads import Bell, Worker

log = logging.getLogger(__name__)


class Alarm:
    """A function to be called later, unless it is cancelled before."""

    __slots__ = ("_calls",)

    def __init__(self, call: Callable[[], object]) -> None:
        """Keep `call` until its time has come."""
        self._calls = [call]

    def cancel(self) -> None:
        """Do not call it any more; the timer's thread may be calling it right now."""
        self._calls.clear()

    @property
    def is_over(self) -> bool:
        """Whether it was called or cancelled."""
        return not self._calls

    def ring(self) -> None:
        """Call it now, unless it was called or cancelled before."""
        try:
            # One operation on the list, which Python serialises: if two threads ring, one calls.
            call = self._calls.pop()
        except IndexError:
            return
        call()


class Timer:
    """Rings alarms, whose times are on the monotonic clock.

    The lock guards the alarms, the thread and whether the timer is closed. Another lock is held during each
    call. Called functions must not block, since that would delay the other alarms.
    """

    def __init__(self) -> None:
        """Ring no alarm before `start`."""
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._is_closed = False
        self._ringing = threading.RLock()
        self._worker: Worker | None = None

    def start(self) -> None:
        """Start the thread; call it in the process that serves the mount, after the fork.

        Raises:
            NoThread: the system cannot start a thread.
        """
        with self._lock:
            self._worker = Worker(self._run)

    def after(self, seconds: float, call: Callable[[], object]) -> Alarm:
        """Have `call` called in that many seconds, by the timer's thread."""
        alarm = Alarm(call)
        at = time.monotonic() + seconds
        with self._lock:
            heapq.heappush(self._alarms, (at, next(self._numbers), alarm))
            if self._alarms[0][2] is alarm:
                self._changed.ring()
            self._revive()
        return alarm

    def close(self) -> None:
        """Ring no more alarms, and wait for the call that is running."""
        with self._lock:
            self._is_closed = True
            self._changed.ring()
        with self._ringing:
            pass

    def _revive(self) -> None:
        """Start a new thread if the old one ended because it found no memory. The lock is held."""
        if self._worker is None or self._worker.is_alive or self._is_closed:
            return
        try:
            self._worker = Worker(self._run)
        except NoThread as error:
            log.debug("deadlines will be late: %s", error)

    def _run(self) -> None:
        while (alarm := self._next()) is not None:
            with self._ringing:
                self._ring(alarm)

    def _ring(self, alarm: Alarm) -> None:
        try:
            if not self._is_closed:
                alarm.ring()
        except Exception:
            log.exception("a deadline failed unexpectedly")

    def _next(self) -> Alarm | None:
        """Wait until the next alarm must ring, and return it; None after the timer was closed."""
        with self._lock:
            while not self._is_closed:
                # Most deadlines are cancelled long before: to wake for each of them would cost more than all
                # else here.
                while self._alarms and self._alarms[0][2].is_over:
                    heapq.heappop(self._alarms)
                if not self._alarms:
                    self._changed.wait()
                    continue
                left = self._alarms[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._alarms)[2]
                self._changed.wait(left)
        return None
