"""The threads that answer the kernel: as many as were ever busy at once, and a few that wait for more."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from queue import SimpleQueue

_SPARE = 4
"""Threads that wait while all others are busy: not all that a thread may wait for is told to `Workers`."""

log = logging.getLogger(__name__)


class _End(Enum):
    WELL = auto()
    FAILED = auto()


class Workers:
    """Threads of Python's own, which stay until the end.

    Libfuse 2 has threads of its own and ends all but ten of those that are idle. Python would have to make up
    its state of each anew, which takes a fifth of the CPU of a GB, or leave it behind when the thread ends.
    The lock guards how many there are, and whether all is over; who is busy is in a deque, which needs none.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._lock = threading.Lock()
        self._count = 0
        self._busy: deque[None] = deque()
        self._is_over = False
        self._ended = SimpleQueue[_End]()

    def run(self, work: Callable[[], bool]) -> bool:
        """Have the threads `work`, and wait until all have done so; False as soon as one could not.

        Args:
            work: answers the kernel until the file system is unmounted, and tells whether that went well.

        Raises:
            RuntimeError: no thread can be started.
        """
        self._work = work
        self._count = 1
        self._start()
        while self._ended.get() is _End.WELL:
            with self._lock:
                self._count -= 1
                self._is_over = not self._count
            if self._is_over:
                return True
        return False

    def begin(self) -> None:
        """Take note that the calling thread has something to do; there will be others for what comes next."""
        self._busy.append(None)
        if self._is_short():
            self._grow()

    def end(self) -> None:
        """Take note that it is done."""
        self._busy.pop()

    def _is_short(self) -> bool:
        return len(self._busy) + _SPARE > self._count

    def _grow(self) -> None:
        with self._lock:
            # Libfuse calls back once more when all is over, from the thread that takes it down.
            if self._is_over or not self._is_short():
                return
            self._count += 1
        try:
            self._start()
        except RuntimeError:
            # Those that are there go on, and whoever is busy next tries again.
            log.debug("the system has no more threads to answer the kernel by")
            self._ended.put(_End.WELL)

    def _start(self) -> None:
        threading.Thread(target=self._run_one, name="fuse", daemon=True).start()

    def _run_one(self) -> None:
        self._ended.put(_End.WELL if self._work() else _End.FAILED)
