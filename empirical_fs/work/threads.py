"""Threads that can be started safely, and whose end is always noticed, even when the system has no memory.

`threading.Thread.start` waits until the new thread reports that it runs. A thread that finds no memory for
its first steps never does, so the caller, for example a libfuse callback, would hang forever. These threads
are started by `_thread.start_new_thread`, which does not wait.
"""

import _thread
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable

from empirical_fs.errors import NoThread

log = logging.getLogger(__name__)


class _Life:
    """An object that only a thread refers to: once it is deleted, the thread has ended."""


class Worker:
    """A thread that does one piece of work."""

    def __init__(self, work: Callable[[], object]) -> None:
        """Have `work` done by a new thread.

        Raises:
            NoThread: the system cannot start a thread.
        """
        life = _Life()
        self._life = weakref.ref(life)
        try:
            _thread.start_new_thread(_run, (work, life))
        except (RuntimeError, MemoryError) as error:
            raise NoThread from error

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._life() is not None


def _run(work: Callable[[], object], life: _Life) -> None:
    try:
        work()
    except Exception:
        log.exception("a thread failed unexpectedly")
    finally:
        # If the traceback of a failure is kept, so are the variables of this frame.
        del life


class Bell:
    """Wakes waiting threads, as `threading.Condition` does, with a lock that its owner provides.

    A Condition is written in Python: if a call inside it finds no memory, its lock stays locked forever, or
    it wakes a thread that has left. Here, everything that may fail comes before any change.
    """

    def __init__(self, lock: threading.Lock) -> None:
        """Use `lock`, which callers hold when they call any method."""
        self._lock = lock
        self._sleepers: deque[threading.Lock] = deque()

    def wait(self, seconds: float = -1) -> None:
        """Wait until `ring`, for at most `seconds` unless that is negative. The lock is held."""
        sleeper = threading.Lock()
        sleeper.acquire()
        self._sleepers.append(sleeper)
        self._lock.release()
        try:
            sleeper.acquire(timeout=seconds)
        finally:
            self._lock.acquire()
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def ring(self) -> None:
        """Wake the thread that has waited longest, if any. The lock is held."""
        if self._sleepers:
            self._sleepers.popleft().release()

    def ring_for_all(self) -> None:
        """Wake all waiting threads. The lock is held."""
        while self._sleepers:
            self._sleepers.popleft().release()


class Pool:
    """A few threads that do submitted work. The lock guards the queue and the threads."""

    def __init__(self, threads: int) -> None:
        """Use up to `threads` threads, each started when there is work for it."""
        self._most = threads
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._queue: deque[Callable[[], object]] = deque()
        self._workers: list[Worker] = []
        self._idle = 0
        self._is_closed = False

    def submit(self, work: Callable[[], object]) -> None:
        """Have a thread do `work`, which should raise nothing.

        Raises:
            NoThread: there is no thread for it; it will not be done later either.
        """
        with self._lock:
            self._queue.append(work)
            if len(self._queue) <= self._idle:
                self._changed.ring()
                return
            self._workers = [each for each in self._workers if each.is_alive]
            if len(self._workers) < self._most:
                try:
                    self._workers.append(Worker(self._work))
                except NoThread:
                    if not self._workers:
                        self._queue.remove(work)
                        raise
                    # The existing threads will do it.

    def close(self) -> None:
        """Begin no more work; do not wait for work that has begun."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            self._changed.ring_for_all()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:
                log.exception("work failed unexpectedly")

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next work; None after the pool was closed."""
        with self._lock:
            self._idle += 1
            try:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return self._queue.popleft() if self._queue else None
