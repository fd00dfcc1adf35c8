"""Runs many tasks, most of which wait for the network, in a few threads."""

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
"""How long an idle thread itself waits for a task, since to hand the wait over takes time too."""

_STALLED_SECONDS = 1.0
"""A task that has waited for a silent socket for this long gives its place to another task."""

_FREE_THREADS = 2
"""Threads of a lane that never wait like that, but are free for the next task."""


class GoOn(Protocol):
    """Continues a task after a wait."""

    def __call__(self, *, has_come: bool) -> object:
        """Go on; `has_come` is False if the time was over before the event came."""


log = logging.getLogger(__name__)


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


class Waits:
    """Waits for sockets and times on behalf of all tasks, with two threads.

    The lock guards the thread that waits for sockets. Other threads may add sockets while it waits.
    """

    def __init__(self, timer: Timer, elsewhere: int) -> None:
        """Begin without waits; `timer` ends them in time, `elsewhere` threads run functions that block."""
        self._timer = timer
        self._elsewhere = Pool(elsewhere)
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._for_sockets: Worker | None = None

    def wait(self, wait: Wait, go_on: GoOn) -> None:
        """Have `go_on` called once, when the wait is over: by another thread, or immediately.

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
        """Start no more functions that block; waits for sockets stay until the process ends."""
        self._elsewhere.close()

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
    """The value to send to the steps next; None before they have begun."""


class Lane:
    """Runs a limited number of tasks at once, and the others in turn, in fewer threads than tasks.

    The lock guards the queues and the counts.
    """

    def __init__(self, name: str, waits: Waits, *, threads: int, most: int, stalled: int = 0) -> None:
        """Do nothing yet.

        Args:
            name: its name in the log.
            waits: does the waits of the tasks.
            threads: the largest number of threads.
            most: the largest number of tasks under way; those in a `Pause` or `Told` do not count.
            stalled: how many more tasks may wait for sockets that have been silent for a second.
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
        """Run these steps, which raise nothing, as soon as it is their turn.

        Raises:
            NoThread: the system has no thread to run them.
        """
        task = _Task(steps)
        with self._lock:
            self._new.append(task)
            self._admit()
            self._see_to_threads(task)

    def close(self) -> None:
        """Begin no more tasks; those that have begun end by themselves."""
        with self._lock:
            self._is_closed = True
            self._new.clear()
            self._changed.ring_for_all()

    def _admit(self) -> None:
        """Make the next tasks ready, as many as there are places. The lock is held."""
        while self._new and self._under_way < self._most and not self._is_closed:
            self._under_way += 1
            self._ready.append(self._new.popleft())

    def _see_to_threads(self, new: _Task | None = None) -> None:
        """Wake a thread for the ready tasks, or start one. The lock is held."""
        if len(self._ready) <= self._idle:
            self._changed.ring()
        elif self._ready:
            self._workers = [each for each in self._workers if each.is_alive]
            if len(self._workers) < self._threads_most:
                self._start_thread(new)

    def _start_thread(self, new: _Task | None) -> None:
        """Start a thread, or raise NoThread if there is none for the task `new`. The lock is held."""
        try:
            self._workers.append(Worker(self._work))
        except NoThread:
            if new is not None and not self._workers:
                self._give_back(new)
                raise
            # The existing threads will do it.
            log.debug("the system has no more threads for %s", self._name)

    def _give_back(self, task: _Task) -> None:
        """Remove a new task that no thread can run. The lock is held."""
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
        """Wait for the next ready task; None after the lane was closed."""
        with self._lock:
            self._idle += 1
            try:
                while not self._ready and not self._is_closed:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return self._ready.popleft() if self._ready else None

    def _has_ended(self, task: _Task) -> bool:
        """Run the steps of a task; True at its end, False once another thread will go on with it."""
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
            log.exception("%s failed unexpectedly", self._name)
            return True

    def _has_come_soon(self, wait: Readable) -> bool:
        """Whether a socket can be read now, or within a moment if this thread has no other task."""
        with self._lock:
            is_gracious = not self._ready and self._gracious < self._threads_most - _FREE_THREADS
            self._gracious += is_gracious
        try:
            return is_readable(wait.socket, min(_GRACE_SECONDS, wait.seconds) if is_gracious else 0)
        except (OSError, ValueError):
            return True  # the socket is closed, as the next read will find
        finally:
            if is_gracious:
                with self._lock:
                    self._gracious -= 1

    def _park(self, task: _Task, wait: Wait) -> None:
        """Hand a task over to `Waits`; it may go on, in another thread, before this returns.

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
        """Let another task begin in place of one that waits."""
        with self._lock:
            self._under_way -= 1
            self._admit()
            self._see_to_threads()

    def _resume_or_stall(self, task: _Task, rest: Readable, *, has_come: bool) -> None:
        """Go on with a task, or let it wait for the rest of the time; without its place, if possible."""
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
        """Make a task ready that stalled without a place; it takes one, even if all are taken."""
        with self._lock:
            self._stalled -= 1
            self._under_way += 1
        self._resume(task, has_come=has_come)

    def _resume(self, task: _Task, *, has_come: bool) -> None:
        """Make a task ready that has kept its place."""
        task.has_come = has_come
        with self._lock:
            self._ready.append(task)
            self._see_to_threads()

    def _resume_in_turn(self, task: _Task, *, has_come: bool) -> None:
        """Queue a task that gave up its place, and make it ready once there is a place."""
        task.has_come = has_come
        with self._lock:
            # It has waited already, so it precedes the tasks that have not begun.
            self._new.appendleft(task)
            self._admit()
            self._see_to_threads()
