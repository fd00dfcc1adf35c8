"""Work that must not stop: it has one owner, which does it again and again, whatever happens."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from empirical_fs.errors import NoThread
from empirical_fs.work.threads import Worker

log = logging.getLogger(__name__)


class Job:
    """Does work in a thread of its own whenever somebody asks for it.

    Nobody else has to clear a flag when the work could not begin, failed or hangs: whoever asks next finds no
    thread, or one without progress for too long, and has another one started. What hangs is left behind, so
    the work must do no harm if it goes on after all. The lock guards the thread and what is asked of it.
    """

    def __init__(self, name: str, work: Callable[[], object], patience: float) -> None:
        """Do nothing yet.

        Args:
            name: of the work, in the log.
            work: what is done; it may raise anything.
            patience: the seconds without progress after which the work hangs.
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
        """Have the work done, from its beginning; False if nobody can do it now.

        Who asks while it is being done has it done once more.
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
            log.warning("%s makes no progress, and begins anew", self._name)
        return True

    def moved(self) -> None:
        """Take note that the work makes progress."""
        self._moved_at = time.monotonic()

    def _run(self, number: int) -> None:
        while self._begins(number):
            try:
                self._work()
            except Exception:
                log.exception("%s failed in a way that it should not", self._name)

    def _begins(self, number: int) -> bool:
        """Whether the work is to be done by the thread of that number, which ends otherwise."""
        with self._lock:
            if number != self._run_number:
                return False
            if not self._is_asked:
                self._worker = None
                return False
            self._is_asked = False
            self._moved_at = time.monotonic()
            return True
