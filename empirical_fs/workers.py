"""The threads that answer the kernel: as many as were ever busy at once, and a few that wait for more."""

import logging
import threading
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
    The lock guards how many there are, how many of them are busy, and whether all is over.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._lock = threading.Lock()
        self._count = 0
        self._busy = 0
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
        with self._lock:
            self._busy += 1
            # Libfuse calls back once more when all is over, from the thread that takes it down.
            is_short = self._busy + _SPARE > self._count and not self._is_over
            if is_short:
                self._count += 1
        if is_short:
            try:
                self._start()
            except RuntimeError:
                # Those that are there go on, and whoever is busy next tries again.
                log.debug("the system has no more threads to answer the kernel by")
                self._ended.put(_End.WELL)

    def end(self) -> None:
        """Take note that it is done."""
        with self._lock:
            self._busy -= 1

    def _start(self) -> None:
        threading.Thread(target=self._run_one, name="fuse", daemon=True).start()

    def _run_one(self) -> None:
        self._ended.put(_End.WELL if self._work() else _End.FAILED)
