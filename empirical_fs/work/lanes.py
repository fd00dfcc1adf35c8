"""A few threads that do the steps of much work, most of which waits for the network."""

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from empirical_fs.errors import NoThread
from empirical_fs.work.threads import Bell, Pool, Worker
from empirical_fs.work.timer import Alarm, Timer
from empirical_fs.work.waits import Elsewhere, Pause, Readable, Steps, Told, Wait, is_readable, wait_here

_GRACE_SECONDS = 0.05
"""What a thread waits itself, if it has nothing better to do, for to hand a wait over takes its time."""

_STALLED_SECONDS = 1.0
"""After so long without a word, work that waits for a socket makes place for other work."""

_FREE_THREADS = 2
"""Threads of a lane that never wait so, but are there for what comes next."""


class GoOn(Protocol):
    """Goes on with what had to wait."""

    def __call__(self, *, has_come: bool) -> object:
        """What it waits for has come, or its time is over."""


log = logging.getLogger(__name__)


def _nothing() -> None:
    """Leaves nothing behind."""


class _Parked:
    """A wait which ends once: by what is waited for, or by the timer."""

    def __init__(self, leave: Callable[[], None], go_on: GoOn) -> None:
        self._leave = leave
        self._go_on = [go_on]
        self.expiry: Alarm | None = None

    def end(self, *, has_come: bool) -> None:
        try:
            # One operation on the list, which Python serialises: of two that end it, one does.
            go_on = self._go_on.pop()
        except IndexError:
            return
        if self.expiry is not None:
            self.expiry.cancel()
        self._leave()
        go_on(has_come=has_come)


class Waits:
    """Waits for sockets and for times, in two threads for all.

    The lock guards the thread that waits for sockets, which the selector lets others add to.
    """

    def __init__(self, timer: Timer, elsewhere: int) -> None:
        """Wait for nothing yet; times are `timer`'s, and `elsewhere` threads are for functions that wait."""
        self._timer = timer
        self._elsewhere = Pool(elsewhere)
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._for_sockets: Worker | None = None

    def wait(self, wait: Wait, go_on: GoOn) -> None:
        """Have `go_on` told, once, when the wait is over, by another thread, or at once.

        Raises:
            NoThread: the system has no thread for it.
        """
        if isinstance(wait, Pause):
            self._timer.after(wait.seconds, partial(go_on, has_come=True))
        elif isinstance(wait, Elsewhere):
            self._elsewhere.submit(partial(_do, wait.function, go_on))
        elif isinstance(wait, Told):
            parked = _Parked(_nothing, go_on)
            parked.expiry = self._timer.after(wait.seconds, partial(parked.end, has_come=False))
            wait.future.add_done_callback(lambda _: parked.end(has_come=True))
        else:
            self._wait_readable(wait, go_on)

    def close(self) -> None:
        """Wait for nothing new elsewhere; who waits for a socket is left to the end of the process."""
        self._elsewhere.close()

    def _wait_readable(self, wait: Readable, go_on: GoOn) -> None:
        self._start()
        parked = _Parked(partial(self._leave, wait.socket), go_on)
        parked.expiry = self._timer.after(wait.seconds, partial(parked.end, has_come=False))
        try:
            self._selector.register(wait.socket, selectors.EVENT_READ, parked)
        except (OSError, ValueError, KeyError, MemoryError) as error:
            # It is closed, as the next read will find, or the system has no room for another.
            log.debug("a socket cannot be waited for: %s", error)
            parked.end(has_come=True)

    def _leave(self, connected: socket.socket) -> None:
        with suppress(OSError, ValueError, KeyError):  # it was closed meanwhile, or could not be waited for
            self._selector.unregister(connected)

    def _start(self) -> None:
        with self._lock:
            if self._for_sockets is None or not self._for_sockets.is_alive:
                self._for_sockets = Worker(self._run)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                key.data.end(has_come=True)


def _do(function: Callable[[], None], go_on: GoOn) -> None:
    try:
        function()
    finally:
        go_on(has_come=True)


@dataclass(eq=False, slots=True)
class _Task:
    steps: Steps[None]
    has_come: bool | None = None
    """What the steps are sent next; None begins them."""


class Lane:
    """Does the steps of so many pieces of work at once, the rest in turn, by fewer threads.

    The lock guards the queues and the counts.
    """

    def __init__(self, name: str, waits: Waits, *, threads: int, most: int, stalled: int = 0) -> None:
        """Do nothing yet.

        Args:
            name: what the log calls it.
            waits: has the work that waits.
            threads: how many there are at most.
            most: how many pieces of work are under way at once; one that pauses, or waits to be told, is not.
            stalled: how many more may wait for a socket that has been silent for a second.
        """
        self._name = name
        self._waits = waits
        self._threads_most, self._most, self._stalled_most = threads, most, stalled
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._new: deque[_Task] = deque()
        self._ready: deque[_Task] = deque()
        self._under_way = self._idle = self._gracious = self._stalled = 0
        self._workers: list[Worker] = []
        self._is_closed = False

    def run(self, steps: Steps[None]) -> None:
        """Do these steps, which raise nothing, as soon as it is their turn.

        Raises:
            NoThread: nobody can do them.
        """
        task = _Task(steps)
        with self._lock:
            self._new.append(task)
            self._admit()
            self._see_to_threads(task)

    def close(self) -> None:
        """Begin nothing any more; what has begun ends by itself."""
        with self._lock:
            self._is_closed = True
            self._new.clear()
            self._changed.ring_for_all()

    def _admit(self) -> None:
        """Make ready what is next in turn. The lock is held."""
        while self._new and self._under_way < self._most and not self._is_closed:
            self._under_way += 1
            self._ready.append(self._new.popleft())

    def _see_to_threads(self, new: _Task | None = None) -> None:
        """Wake a thread for what is ready, or start one. The lock is held."""
        if len(self._ready) <= self._idle:
            self._changed.ring()
        elif self._ready:
            self._workers = [each for each in self._workers if each.is_alive]
            if len(self._workers) < self._threads_most:
                self._start_thread(new)

    def _start_thread(self, new: _Task | None) -> None:
        """The lock is held."""
        try:
            self._workers.append(Worker(self._work))
        except NoThread:
            if new is not None and not self._workers:
                self._give_back(new)
                raise
            # Those that are there come to it.
            log.debug("the system has no more threads for %s", self._name)

    def _give_back(self, task: _Task) -> None:
        """Nobody can do a task that came just now. The lock is held."""
        if task in self._ready:
            self._ready.remove(task)
            self._under_way -= 1
        elif task in self._new:
            self._new.remove(task)

    def _work(self) -> None:
        while (task := self._next()) is not None:
            if self._has_ended(task):
                with self._lock:
                    self._under_way -= 1
                    self._admit()
                    self._see_to_threads()

    def _next(self) -> _Task | None:
        """The next task that is ready; None when there is none and will be none."""
        with self._lock:
            self._idle += 1
            try:
                while not self._ready and not self._is_closed:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return self._ready.popleft() if self._ready else None

    def _has_ended(self, task: _Task) -> bool:
        """Do the steps of a task until its end, or until somebody else is to go on with it."""
        try:
            while True:
                wait = next(task.steps) if task.has_come is None else task.steps.send(task.has_come)
                if isinstance(wait, Readable) and self._has_come_soon(wait):
                    task.has_come = True
                    continue
                try:
                    self._park(task, wait)
                except (NoThread, MemoryError) as error:
                    log.debug("a thread waits itself, for the system has no more: %s", error)
                    task.has_come = wait_here(wait)
                else:
                    return False
        except StopIteration:
            return True
        except BaseException:
            log.exception("%s failed in a way that it should not", self._name)
            return True

    def _has_come_soon(self, wait: Readable) -> bool:
        """Whether a socket can be read at once, or soon where the thread has nothing better to do."""
        with self._lock:
            is_gracious = not self._ready and self._gracious < self._threads_most - _FREE_THREADS
            self._gracious += is_gracious
        try:
            return is_readable(wait.socket, min(_GRACE_SECONDS, wait.seconds) if is_gracious else 0)
        except (OSError, ValueError):
            return True  # it is closed, as the next read will find
        finally:
            if is_gracious:
                with self._lock:
                    self._gracious -= 1

    def _park(self, task: _Task, wait: Wait) -> None:
        """Leave a task to who waits for it; it may go on before this returns.

        Raises:
            NoThread: the system has no thread for that.
        """
        if isinstance(wait, Pause | Told):
            self._waits.wait(wait, partial(self._resume_in_turn, task))
            self._leave_place()
        elif isinstance(wait, Readable) and wait.seconds > _STALLED_SECONDS:
            begun = Readable(wait.socket, _STALLED_SECONDS)
            rest = Readable(wait.socket, wait.seconds - _STALLED_SECONDS)
            self._waits.wait(begun, partial(self._resume_or_stall, task, rest))
        else:
            self._waits.wait(wait, partial(self._resume, task))

    def _leave_place(self) -> None:
        """A task that waits does not keep others from beginning."""
        with self._lock:
            self._under_way -= 1
            self._admit()
            self._see_to_threads()

    def _resume_or_stall(self, task: _Task, rest: Readable, *, has_come: bool) -> None:
        """Go on, or wait for the rest of the time without a place."""
        with self._lock:
            stalls = not has_come and self._stalled < self._stalled_most
            self._stalled += stalls
        if has_come:
            self._resume(task, has_come=True)
        elif stalls:
            self._leave_place()
            self._waits.wait(rest, partial(self._resume_stalled, task))
        else:
            self._waits.wait(rest, partial(self._resume, task))

    def _resume_stalled(self, task: _Task, *, has_come: bool) -> None:
        with self._lock:
            self._stalled -= 1
            self._under_way += 1
        self._resume(task, has_come=has_come)

    def _resume(self, task: _Task, *, has_come: bool) -> None:
        task.has_come = has_come
        with self._lock:
            self._ready.append(task)
            self._see_to_threads()

    def _resume_in_turn(self, task: _Task, *, has_come: bool) -> None:
        task.has_come = has_come
        with self._lock:
            # It has waited already, and goes before what has not begun.
            self._new.appendleft(task)
            self._admit()
            self._see_to_threads()
