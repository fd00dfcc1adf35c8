"""Work that must not stop: a job runs it whenever asked, and restarts it if it fails or hangs."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from empirical_fs.errors import NoThread
from empirical_fs.work.threads import Worker

log = logging.getLogger(__name__)


class Job:
    """Does work in a thread of its own whenever a caller asks for it.

    No flag must be cleared when the work could not begin, failed or hangs: the next call of `ask` finds no
    thread, or one without progress for too long, and starts another one. A hanging thread is left behind, so
    the work must do no harm if it goes on after all. The lock guards the thread and the request for it.
    """

    def __init__(self, name: str, work: Callable[[], object], patience: float) -> None:
        """Do nothing yet.

        Args:
            name: the name of the work in the log.
            work: the function to call; it may raise anything.
            patience: the seconds without progress after which the work counts as hanging.
        """
        self._name = name
        self._work = work
        self._patience = patience
        self._lock = threading.Lock()
        self._is_asked = False
        self._worker: Worker | None = None
        self._run_number = 0
        self._moved_at = float("-inf")

    @property
    def is_busy(self) -> bool:
        """Whether the work is being done."""
        worker = self._worker
        return worker is not None and worker.is_alive and time.monotonic() - self._moved_at < self._patience

    def ask(self) -> bool:
        """Have the work done, from its beginning; False if the system has no thread for it now.

        If the work is being done at the moment, it is done once more afterwards.
        """
        with self._lock:
            self._is_asked = True
            if self.is_busy:
                return True
            hanging, self._worker = self._worker, None
            self._run_number += 1
            self._moved_at = time.monotonic()
            try:
                self._worker = Worker(partial(self._run, self._run_number))
            except NoThread as error:
                log.debug("%s cannot begin now: %s", self._name, error)
                return False
        if hanging is not None and hanging.is_alive:
            log.warning("%s makes no progress, and is restarted", self._name)
        return True

    def moved(self) -> None:
        """Note that the work makes progress."""
        self._moved_at = time.monotonic()

    def _run(self, number: int) -> None:
        while self._begins(number):
            try:
                self._work()
            except Exception:
                log.exception("%s failed unexpectedly", self._name)

    def _begins(self, number: int) -> bool:
        """Whether the thread with that number must do the work now; if not, the thread ends."""
        with self._lock:
            if number != self._run_number:
                return False
            if not self._is_asked:
                self._worker = None
                return False
            self._is_asked = False
            self._moved_at = time.monotonic()
            return True
