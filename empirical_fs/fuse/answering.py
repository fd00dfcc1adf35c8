"""How an operation ends that does not end well, or not at once."""

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
    """What an operation is, and which file it is about, for the log."""

    operation: str
    path: str


class Answering:
    """Refuses requests, and answers others later."""

    def __init__(self, statistics: Statistics, later: Pool, timeout: float) -> None:
        """Answer within `timeout` seconds; `later` has threads for what waits itself."""
        self._statistics = statistics
        self._later = later
        self.timeout = timeout

    def refuse(self, request: Request, about: About, error: BaseException) -> None:
        """Answer with the errno of an error, and tell the log and the statistics of it if it is an event."""
        if isinstance(error, MemoryError):
            error = NoMemory()
        number = errno_of(error)
        if not request.refuse(errno.EIO if number is None else number):
            return
        if number is None:
            log.error("%s %s failed in a way that it should not", about.operation, about.path, exc_info=error)
            self._statistics.failed(errno.errorcode[errno.EIO])
        elif isinstance(error, EmpiricalError):
            if not isinstance(error, NoSuchFile):
                self._statistics.failed(errno.errorcode[number])
            if not isinstance(error, UNTOLD):
                log.warning("%s %s: %s", about.operation, about.path, error)

    def defer(self, request: Request, about: About, more: float = 0.0) -> None:
        """Answer later, within the timeout and so many seconds more; otherwise it is refused then."""
        if not request.is_deferred:
            request.defer(self.timeout + more, partial(self.refuse, request, about))

    def go_on(self, request: Request, about: About, work: Callable[[], object]) -> None:
        """Do work that answers a deferred request, if that is still wanted, here and now."""
        try:
            if request.is_open:
                work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is answered
            self.refuse(request, about, error)

    def go_on_later(
        self, request: Request, about: About, work: Callable[[], object], by: Pool | None = None
    ) -> None:
        """The same in a thread that may wait.

        Raises:
            NoThread: nobody can do it.
        """
        (by or self._later).submit(partial(self.go_on, request, about, work))
