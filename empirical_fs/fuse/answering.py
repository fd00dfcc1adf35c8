"""Answers operations that fail, and operations that are answered later."""

import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from empirical_fs.errors import EmpiricalError, NoMemory, NoSuchFile
from empirical_fs.fuse.errnos import UNTOLD, errno_of
from empirical_fs.fuse.request import Request
from empirical_fs.statistics import Statistics
from empirical_fs.work.threads import Pool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class About:
    """The name of an operation, and the path of the file that it is about, for the log."""

    operation: str
    path: str


class Answering:
    """Answers requests with errors, and defers others."""

    def __init__(self, statistics: Statistics, later: Pool, timeout: float) -> None:
        """Answer within `timeout` seconds; `later` has the threads for work that blocks."""
        self._statistics = statistics
        self._later = later
        self.timeout = timeout

    def refuse(self, request: Request, about: About, error: BaseException) -> None:
        """Answer with the errno of an error, and log and count the error if it is worth reporting."""
        if isinstance(error, MemoryError):
            error = NoMemory()
        number = errno_of(error)
        if not request.refuse(errno.EIO if number is None else number):
            return
        if number is None:
            log.error("%s %s failed unexpectedly", about.operation, about.path, exc_info=error)
            self._statistics.failed(errno.errorcode[errno.EIO])
        elif isinstance(error, EmpiricalError):
            if not isinstance(error, NoSuchFile):
                self._statistics.failed(errno.errorcode[number])
            if not isinstance(error, UNTOLD):
                log.warning("%s %s: %s", about.operation, about.path, error)

    def defer(self, request: Request, about: About, more: float = 0.0) -> None:
        """Answer later; if that takes longer than the timeout plus `more` seconds, answer with an error."""
        if not request.is_deferred:
            request.defer(self.timeout + more, partial(self.refuse, request, about))

    def go_on(self, request: Request, about: About, work: Callable[[], object]) -> None:
        """Do the work that answers a deferred request, in this thread, unless the request was answered."""
        try:
            if request.is_open:
                work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is answered
            self.refuse(request, about, error)

    def go_on_later(
        self, request: Request, about: About, work: Callable[[], object], by: Pool | None = None
    ) -> None:
        """As `go_on`, in a thread that may block.

        Raises:
            NoThread: no thread can do it.
        """
        (by or self._later).submit(partial(self.go_on, request, about, work))
