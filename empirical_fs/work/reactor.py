"""Waits on behalf of many tasks, with few threads: a reactor. For sockets, the lanes wait themselves."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Alarm, Timer
from empirical_fs.work.waits import Done, InThread, Pause


class GoOn(Protocol):
    """Continues a task after a wait."""

    def __call__(self, *, has_come: bool) -> object:
        """Go on; `has_come` is False if the time was over before the event came."""


class _Parked:
    """A wait, which ends exactly once: by the event or by the timer."""

    def __init__(self, go_on: GoOn) -> None:
        self._go_on = [go_on]
        self.expiry: Alarm | None = None

    def end(self, *, has_come: bool) -> None:
        try:
            # One operation on the list, which Python serialises: if two threads end the wait, one succeeds.
            go_on = self._go_on.pop()
        except IndexError:
            return
        if self.expiry is not None:
            self.expiry.cancel()
        go_on(has_come=has_come)


class Reactor:
    """Waits on behalf of all tasks: for times, futures and functions that block."""

    def __init__(self, timer: Timer, threads: int) -> None:
        """Begin without waits; `timer` ends them in time. `threads`: how many run functions that block."""
        self._timer = timer
        self._pool = Pool(threads)

    def wait(self, wait: Pause | InThread | Done, go_on: GoOn) -> None:
        """Have `go_on` called once, when the wait is over: by another thread, or immediately.

        Raises:
            NoThread: the system has no thread for it.
        """
        if isinstance(wait, Pause):
            self._timer.after(wait.seconds, partial(go_on, has_come=True))
        elif isinstance(wait, InThread):
            self._pool.submit(partial(_do, wait.function, go_on))
        else:
            parked = _Parked(go_on)
            parked.expiry = self._timer.after(wait.seconds, partial(parked.end, has_come=False))
            wait.future.add_done_callback(lambda _: parked.end(has_come=True))

    def after(self, seconds: float, call: Callable[[], object]) -> Alarm:
        """As `Timer.after`."""
        return self._timer.after(seconds, call)

    def close(self) -> None:
        """Start no more functions that block."""
        self._pool.close()


def _do(function: Callable[[], None], go_on: GoOn) -> None:
    try:
        function()
    finally:
        go_on(has_come=True)
