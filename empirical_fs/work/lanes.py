"""Runs many tasks, most of which wait for the network, in a few threads."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial

from empirical_fs.errors import NoThread
from empirical_fs.work.reactor import Reactor
from empirical_fs.work.sockets import Sockets
from empirical_fs.work.threads import Bell, Worker
from empirical_fs.work.timer import Alarm
from empirical_fs.work.waits import InThread, Readable, Steps, Wait, wait_here

_STALLED_SECONDS = 1.0
"""A task that has waited for a silent socket for this long gives its place to another task."""

_STUCK_SECONDS = 1.0
"""A thread that has been in one step for this long, perhaps in a call to a disk that does not answer, is no
longer counted: another one may take its place, as often as the lane has threads."""

_LAST_WAIT = 5.0
"""Seconds in which a closed lane still waits for sockets: those that are cancelled can be read at once."""

_NO_MEMORY_SECONDS = 0.05
"""After this time, a lane looks again at its sockets where there was no memory for it."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Task:
    steps: Steps[None]
    has_come: bool | None = None
    """The value to send to the steps next; None before they have begun."""


@dataclass(eq=False, slots=True)
class _Silent:
    """A task that waits for a socket. The lane's lock guards it."""

    task: _Task
    seconds: float
    """How long it waits."""
    number: int = -1
    """The file descriptor of the socket."""
    expiry: Alarm | None = None
    is_stalled: bool = False
    """Whether it gave up its place."""
    is_over: bool = False


class Lane:
    """Runs a limited number of tasks at once, and the others in turn, in fewer threads than tasks.

    One of the threads that have no task waits for the sockets of all tasks.

    The lock guards the queues, the waits and the counts.
    """

    def __init__(  # noqa: PLR0913 - its limits
        self,
        name: str,
        reactor: Reactor,
        *,
        threads: int,
        most: int,
        stalled: int = 0,
        patience: float = 0.0,
    ) -> None:
        """Do nothing yet.

        Args:
            name: its name in the log.
            reactor: waits on behalf of the tasks for all but sockets.
            threads: the largest number of threads.
            most: the largest number of tasks under way; those in a `Pause` or `Done` do not count.
            stalled: how many more tasks may wait for sockets that have been silent for a second.
            patience: seconds without a new step after which another thread helps those that run steps; until
                then, tasks wait for these. Python runs one thread at a time, so several threads take more CPU
                than one, unless their steps do much outside of Python.
        """
        self._name = name
        self._reactor = reactor
        self._threads_most, self._most, self._stalled_most = threads, most, stalled
        self._patience = patience
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._sockets = Sockets[_Silent]()
        self._new: deque[_Task] = deque()
        self._ready: deque[_Task] = deque()
        self._under_way = self._idle = self._stalled = self._taken = self._taken_before = 0
        self._is_polled = self._is_woken = self._is_watched = False
        self._workers: list[Worker] = []
        self._stepping: dict[_Task, float] = {}
        """The tasks whose steps a thread runs now, and since when; the longest first."""
        self._closes_at: float | None = None

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
            self._closes_at = time.monotonic() + _LAST_WAIT
            self._new.clear()
            self._changed.ring_for_all()
            self._sockets.wake()

    # Threads. The lock is held.

    def _admit(self) -> None:
        """Make the next tasks ready, as many as there are places."""
        while self._new and self._under_way < self._most and self._closes_at is None:
            self._under_way += 1
            self._ready.append(self._new.popleft())

    @property
    def _demand(self) -> int:
        """How many threads have something to do: a ready task, or the sockets if nobody waits for them."""
        return len(self._ready) + (not self._is_polled and bool(self._sockets))

    def _provide_threads(self, new: _Task | None = None, *, is_late: bool = False) -> None:
        """Have a thread do what is to be done; `is_late` if those that run steps have not begun another."""
        demand = self._demand
        if not demand:
            return
        if self._patience:
            if not is_late and len(self._workers) > self._idle + self._is_polled:
                self._watch()
                return
            if self._ready and self._is_polled:
                self._wake()
                return
            demand = 1
        if demand <= self._idle:
            self._changed.ring()
            return
        self._workers = [each for each in self._workers if each.is_alive]
        if len(self._workers) < self._threads_most + self._stuck():
            self._start_thread(new)
        elif self._is_polled:
            self._wake()

    def _wake(self) -> None:
        """Have the thread that waits for sockets take a task."""
        if not self._is_woken:
            self._is_woken = True
            self._sockets.wake()

    def _watch(self) -> None:
        """Look after a while whether the threads that run steps have gone on to others."""
        if not self._is_watched:
            self._reactor.after(self._patience, self._look)
            self._is_watched, self._taken_before = True, self._taken

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
        """Start a thread, or raise NoThread if there is none for the task `new`."""
        try:
            self._workers.append(Worker(self._work))
        except NoThread:
            if new is not None and not self._workers:
                self._give_back(new)
                raise
            # The existing threads will do it.
            log.debug("the system has no more threads for %s", self._name)

    def _give_back(self, task: _Task) -> None:
        """Remove a new task that no thread can run."""
        if task in self._ready:
            self._ready.remove(task)
            self._under_way -= 1
        elif task in self._new:
            self._new.remove(task)

    # The work of a thread. The lock is not held.

    def _look(self) -> None:
        """Have another thread help if those that run steps have not begun a new one since `_watch`."""
        with self._lock:
            self._is_watched = False
            self._provide_threads(is_late=self._taken == self._taken_before)
            if self._demand:
                self._watch()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            if self._has_ended(task):
                with self._lock:
                    self._under_way -= 1
                    self._admit()
                    # This thread takes the first one, without the cost of waking another.
                    if self._demand > 1:
                        self._provide_threads()

    def _next(self) -> _Task | None:
        """Wait for the next ready task; None after the lane was closed."""
        while True:
            with self._lock:
                self._taken += 1
                if self._ready:
                    return self._ready.popleft()
                if self._closes_at is not None and not self._waits_on(self._closes_at):
                    return None
                if self._is_polled:
                    self._idle += 1
                    try:
                        self._changed.wait()
                    finally:
                        self._idle -= 1
                    continue
                self._is_polled = True
            self._poll()

    def _waits_on(self, closes_at: float) -> bool:
        """Whether this thread of a closed lane is needed to wait for sockets. The lock is held."""
        return not self._is_polled and bool(self._sockets) and time.monotonic() < closes_at

    def _poll(self) -> None:
        """Wait for sockets until one can be read or this thread is woken, and make their tasks ready."""
        came: list[_Silent] = []
        try:
            came = self._sockets.wait(None if self._closes_at is None else _LAST_WAIT)
        except MemoryError:
            # A thread that ends here would leave the sockets to nobody.
            log.debug("there is no memory to look at sockets; once more in a moment")
            time.sleep(_NO_MEMORY_SECONDS)
        finally:
            with self._lock:
                self._is_polled = self._is_woken = False
                ended = sum(map(self._end_wait, came))
                # This thread takes the first one; others the rest, and the wait for the other sockets.
                others = min(self._demand - 1, 1 if self._patience else ended + 1)
                for _ in range(others):
                    self._provide_threads()

    def _has_ended(self, task: _Task) -> bool:
        """Run the steps of a task; True at its end, False once another thread will go on with it."""
        try:
            while True:
                self._stepping[task] = time.monotonic()
                try:
                    wait = next(task.steps) if task.has_come is None else task.steps.send(task.has_come)
                finally:
                    del self._stepping[task]
                try:
                    self._park(task, wait)
                except (OSError, ValueError) as error:
                    # The socket is closed, as the next read will find, or the system takes no other one.
                    log.debug("a socket cannot be waited for: %s", error)
                    task.has_come = True
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

    # The waits of tasks.

    def _park(self, task: _Task, wait: Wait) -> None:
        """Let a task wait without a thread; it may go on, in another thread, before this returns.

        Raises:
            OSError, ValueError: the socket cannot be waited for.
            NoThread: the system has no thread for that.
        """
        if isinstance(wait, Readable):
            self._park_silent(_Silent(task, wait.seconds, wait.socket.fileno()), wait)
        elif isinstance(wait, InThread):
            self._reactor.wait(wait, partial(self._resume, task))
        else:
            self._reactor.wait(wait, partial(self._resume_in_turn, task))
            with self._lock:
                self._leave_place()

    def _park_silent(self, silent: _Silent, wait: Readable) -> None:
        first = min(wait.seconds, _STALLED_SECONDS)
        silent.expiry = self._reactor.after(first, partial(self._silent_for, silent, first))
        try:
            self._sockets.add(wait.socket, silent)
        except BaseException:
            with self._lock:
                if silent.is_over:
                    return  # its time has passed, and another thread goes on with it
                silent.is_over = True
            silent.expiry.cancel()
            raise

    def _end_wait(self, silent: _Silent, *, has_come: bool = True) -> bool:
        """Make a task ready that waited for a socket; False if it was before. The lock is held.

        If it stalled without a place, it takes one, even if all are taken.
        """
        if silent.is_over:
            return False
        silent.is_over = True
        if silent.expiry is not None:
            silent.expiry.cancel()
        self._stalled -= silent.is_stalled
        self._under_way += silent.is_stalled
        silent.task.has_come = has_come
        self._ready.append(silent.task)
        return True

    def _silent_for(self, silent: _Silent, seconds: float) -> None:
        """End a wait that has lasted so long, or let it wait for the rest; without its place, if possible."""
        with self._lock:
            if silent.is_over:
                return
            left = silent.seconds - seconds
            try:
                if left > 0:
                    silent.expiry = self._reactor.after(
                        left, partial(self._silent_for, silent, silent.seconds)
                    )
            except MemoryError:
                left = 0  # nobody else would end the wait
            if left <= 0:
                self._sockets.remove(silent.number, silent)
                self._end_wait(silent, has_come=False)
                self._provide_threads()
            elif self._stalled < self._stalled_most:
                silent.is_stalled = True
                self._stalled += 1
                self._leave_place()
            else:
                self._provide_threads()  # in case the one that waited for the sockets has died

    def _leave_place(self) -> None:
        """Let another task begin in place of one that waits. The lock is held."""
        self._under_way -= 1
        self._admit()
        self._provide_threads()

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
