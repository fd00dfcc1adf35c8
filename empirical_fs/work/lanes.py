"""Runs many tasks, most of which wait for the network, in a few threads."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial

from empirical_fs.errors import NoThread
from empirical_fs.work.reactor import Reactor
from empirical_fs.work.threads import Bell, Worker
from empirical_fs.work.waits import Done, Pause, Readable, Steps, Wait, is_readable, wait_here

_GRACE_SECONDS = 0.05
"""How long an idle thread itself waits for a task, since to hand the wait over takes time too."""

_STALLED_SECONDS = 1.0
"""A task that has waited for a silent socket for this long gives its place to another task."""

_STUCK_SECONDS = 1.0
"""A thread that has been in one step for this long, perhaps in a call to a disk that does not answer, is no
longer counted: another one may take its place, as often as the lane has threads."""

_FREE_THREADS = 2
"""How many threads of a lane never wait like that: they stay free for the next task."""


log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Task:
    steps: Steps[None]
    has_come: bool | None = None
    """The value to send to the steps next; None before they have begun."""


class Lane:
    """Runs a limited number of tasks at once, and the others in turn, in fewer threads than tasks.

    The lock guards the queues and the counts.
    """

    def __init__(self, name: str, reactor: Reactor, *, threads: int, most: int, stalled: int = 0) -> None:
        """Do nothing yet.

        Args:
            name: its name in the log.
            reactor: waits on behalf of the tasks.
            threads: the largest number of threads.
            most: the largest number of tasks under way; those in a `Pause` or `Done` do not count.
            stalled: how many more tasks may wait for sockets that have been silent for a second.
        """
        self._name = name
        self._reactor = reactor
        self._threads_most, self._most, self._stalled_most = threads, most, stalled
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._new: deque[_Task] = deque()
        self._ready: deque[_Task] = deque()
        self._under_way = self._idle = self._waiting_here = self._stalled = 0
        self._workers: list[Worker] = []
        self._stepping: dict[_Task, float] = {}
        """The tasks whose steps a thread runs now, and since when; the longest first."""
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
            self._provide_threads(task)

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

    def _provide_threads(self, new: _Task | None = None) -> None:
        """Wake a thread for the ready tasks, or start one if none is idle. The lock is held."""
        if not self._ready:
            return
        if len(self._ready) <= self._idle:
            self._changed.ring()
        else:
            self._workers = [each for each in self._workers if each.is_alive]
            if len(self._workers) < self._threads_most + self._stuck():
                self._start_thread(new)

    def _stuck(self) -> int:
        """How many threads do not come back from a step, as far as others may take their places."""
        if len(self._workers) < self._threads_most:
            return 0
        before, stuck = time.monotonic() - _STUCK_SECONDS, 0
        for since in list(self._stepping.values()):  # the longest first
            if since >= before:
                break
            stuck += 1
        return min(stuck, self._threads_most)

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
                    # This thread takes the first one, without the cost of waking another.
                    if len(self._ready) > 1:
                        self._provide_threads()

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
                self._stepping[task] = time.monotonic()
                try:
                    wait = next(task.steps) if task.has_come is None else task.steps.send(task.has_come)
                finally:
                    del self._stepping[task]
                if isinstance(wait, Readable) and self._has_come_soon(wait):
                    task.has_come = True
                    continue
                try:
                    self._park(task, wait)
                except (NoThread, MemoryError) as error:
                    log.debug(
                        "a thread waits for its task itself, since the system has no more threads: %s", error
                    )
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
            waits_here = not self._ready and self._waiting_here < self._threads_most - _FREE_THREADS
            self._waiting_here += waits_here
        try:
            return is_readable(wait.socket, min(_GRACE_SECONDS, wait.seconds) if waits_here else 0)
        except (OSError, ValueError):
            return True  # the socket is closed, as the next read will find
        finally:
            if waits_here:
                with self._lock:
                    self._waiting_here -= 1

    def _park(self, task: _Task, wait: Wait) -> None:
        """Hand a task over to the reactor; it may go on, in another thread, before this returns.

        Raises:
            NoThread: the system has no thread for that.
        """
        if isinstance(wait, Pause | Done):
            self._reactor.wait(wait, partial(self._resume_in_turn, task))
            self._leave_place()
        elif isinstance(wait, Readable) and wait.seconds > _STALLED_SECONDS:
            begun = Readable(wait.socket, _STALLED_SECONDS)
            rest = Readable(wait.socket, wait.seconds - _STALLED_SECONDS)
            self._reactor.wait(begun, partial(self._resume_or_stall, task, rest))
        else:
            self._reactor.wait(wait, partial(self._resume, task))

    def _leave_place(self) -> None:
        """Let another task begin in place of one that waits."""
        with self._lock:
            self._under_way -= 1
            self._admit()
            self._provide_threads()

    def _resume_or_stall(self, task: _Task, rest: Readable, *, has_come: bool) -> None:
        """Go on with a task, or let it wait for the rest of the time; without its place, if possible."""
        with self._lock:
            stalls = not has_come and self._stalled < self._stalled_most
            self._stalled += stalls
        if has_come:
            self._resume(task, has_come=True)
            return
        if stalls:
            self._leave_place()
        go_on = partial(self._resume_stalled if stalls else self._resume, task)
        try:
            self._reactor.wait(rest, go_on)
        except NoThread as error:
            # Nobody else would end the task, and this thread, the timer's, must not wait itself.
            log.debug("a stalled task goes on early, since the system has no more threads: %s", error)
            go_on(has_come=False)

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
            self._provide_threads()

    def _resume_in_turn(self, task: _Task, *, has_come: bool) -> None:
        """Queue a task that gave up its place, and make it ready once there is a place."""
        task.has_come = has_come
        with self._lock:
            # It has waited already, so it precedes the tasks that have not begun.
            self._new.appendleft(task)
            self._admit()
            self._provide_threads()
