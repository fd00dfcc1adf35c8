"""Threads that are started, and found dead, whatever the system is short of.

`threading.Thread.start` waits for the new thread to say that it runs, which it never does where it found no
memory for its first steps: whoever starts it, a callback of the kernel say, hangs for ever. These threads are
started by `_thread.start_new_thread`, which does not wait.
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
    """What only a thread holds: when it is gone, so is the thread."""


class Worker:
    """A thread."""

    def __init__(self, work: Callable[[], object]) -> None:
        """Have `work` done by a new thread.

        Raises:
            NoThread: the system has none.
        """
        life = _Life()
        self._life = weakref.ref(life)
        try:
            _thread.start_new_thread(_run, (work, life))
        except (RuntimeError, MemoryError) as error:
            raise NoThread from error

    @property
    def is_alive(self) -> bool:
        """Whether the work is not done yet."""
        return self._life() is not None


def _run(work: Callable[[], object], life: _Life) -> None:
    try:
        work()
    except Exception:
        log.exception("a thread failed in a way that it should not")
    finally:
        # Whoever keeps the traceback of a failure keeps what is in this frame.
        del life


class Bell:
    """Wakes threads that wait, as `threading.Condition` does, with a lock that is its owner's.

    A Condition is Python's own code: where there is no memory for a call of it, its lock stays locked for
    ever, or a thread is woken that has left. Here, everything that may fail comes before anything is changed.
    """

    def __init__(self, lock: threading.Lock) -> None:
        """Wake those who wait with `lock`."""
        self._lock = lock
        self._sleepers: deque[threading.Lock] = deque()

    def wait(self, seconds: float = -1) -> None:
        """Wait until `ring`, for so many seconds at most if that is not below 0. The lock is held."""
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
        """Wake who has waited longest, if anybody does. The lock is held."""
        if self._sleepers:
            self._sleepers.popleft().release()

    def ring_for_all(self) -> None:
        """Wake all who wait. The lock is held."""
        while self._sleepers:
            self._sleepers.popleft().release()


class Pool:
    """A few threads that do what is submitted. The lock guards the queue and the threads."""

    def __init__(self, threads: int) -> None:
        """Have up to `threads` of them, each started when there is work for it."""
        self._most = threads
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._queue: deque[Callable[[], object]] = deque()
        self._workers: list[Worker] = []
        self._idle = 0
        self._is_closed = False

    def submit(self, work: Callable[[], object]) -> None:
        """Have work done, which should raise nothing.

        Raises:
            NoThread: nobody can do it; it is not done later either.
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
                    # Those that are there come to it.

    def close(self) -> None:
        """Begin nothing any more; nobody waits for what has begun."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            self._changed.ring_for_all()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception:
                log.exception("work failed in a way that it should not")

    def _next(self) -> Callable[[], object] | None:
        """What is to be done next; None at the end."""
        with self._lock:
            self._idle += 1
            try:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
            finally:
                self._idle -= 1
            return self._queue.popleft() if self._queue else None
