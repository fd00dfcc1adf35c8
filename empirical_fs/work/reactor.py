"""Waits for sockets and times on behalf of many tasks, with two threads: a reactor."""

import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from empirical_fs.work.threads import Pool, Worker
from empirical_fs.work.timer import Alarm, Timer
from empirical_fs.work.waits import Done, InThread, Pause, Readable, Wait

log = logging.getLogger(__name__)


class GoOn(Protocol):
    """Continues a task after a wait."""

    def __call__(self, *, has_come: bool) -> object:
        """Go on; `has_come` is False if the time was over before the event came."""


def _nothing() -> None:
    """Does nothing: there is no registration to undo."""


class _Parked:
    """A wait, which ends exactly once: by the event or by the timer."""

    def __init__(self, leave: Callable[[], None], go_on: GoOn) -> None:
        self._leave = leave
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
        self._leave()
        go_on(has_come=has_come)


class Reactor:
    """Waits for sockets and times on behalf of all tasks, with two threads.

    The lock guards the thread that waits for sockets. Other threads may add sockets while it waits.
    """

    def __init__(self, timer: Timer, threads: int) -> None:
        """Begin without waits; `timer` ends them in time. `threads`: how many run functions that block."""
        self._timer = timer
        self._pool = Pool(threads)
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._for_sockets: Worker | None = None
        self._is_closed = False

    def wait(self, wait: Wait, go_on: GoOn) -> None:
        """Have `go_on` called once, when the wait is over: by another thread, or immediately.

        Raises:
            NoThread: the system has no thread for it.
        """
        if isinstance(wait, Pause):
            self._timer.after(wait.seconds, partial(go_on, has_come=True))
        elif isinstance(wait, InThread):
            self._pool.submit(partial(_do, wait.function, go_on))
        elif isinstance(wait, Done):
            parked = _Parked(_nothing, go_on)
            parked.expiry = self._timer.after(wait.seconds, partial(parked.end, has_come=False))
            wait.future.add_done_callback(lambda _: parked.end(has_come=True))
        else:
            self._wait_readable(wait, go_on)

    def close(self) -> None:
        """Start no more functions that block, and end no more waits for sockets by what arrives in them."""
        self._pool.close()
        with self._lock:
            self._is_closed = True
            if self._for_sockets is None:
                self._selector.close()
                return
        self._wake()

    def _wake(self) -> None:
        """Have the thread that waits for sockets look whether it is to end."""
        try:
            reading, writing = os.pipe()
        except OSError as error:
            log.debug("a thread stays until the process ends: %s", error)
            return
        os.close(writing)
        try:
            # A pipe without a writer can be read at once: it is at its end.
            self._selector.register(reading, selectors.EVENT_READ, reading)
        except (OSError, ValueError, KeyError, MemoryError):
            os.close(reading)

    def _wait_readable(self, wait: Readable, go_on: GoOn) -> None:
        self._start()
        parked = _Parked(partial(self._leave, wait.socket), go_on)
        parked.expiry = self._timer.after(wait.seconds, partial(parked.end, has_come=False))
        try:
            self._selector.register(wait.socket, selectors.EVENT_READ, parked)
        except (OSError, ValueError, KeyError, MemoryError) as error:
            # The socket is closed, as the next read will find, or the system has no memory for another one.
            log.debug("a socket cannot be waited for: %s", error)
            parked.end(has_come=True)

    def _leave(self, connected: socket.socket) -> None:
        with suppress(OSError, ValueError, KeyError):  # it was closed meanwhile, or could not be waited for
            self._selector.unregister(connected)

    def _start(self) -> None:
        with self._lock:
            if self._is_closed:
                return  # the timer ends the wait
            if self._for_sockets is None or not self._for_sockets.is_alive:
                self._for_sockets = Worker(self._run)

    def _run(self) -> None:
        while not self._is_closed:
            for key, _ in self._selector.select():
                if isinstance(key.data, _Parked):
                    key.data.end(has_come=True)
                else:
                    os.close(key.data)
        self._selector.close()


def _do(function: Callable[[], None], go_on: GoOn) -> None:
    try:
        function()
    finally:
        go_on(has_come=True)
