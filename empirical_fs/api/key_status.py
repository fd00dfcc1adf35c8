"""Whether the API accepts the key: remembered for a while, so that no read tries a revoked one again."""

import logging
import threading
import time
from collections.abc import Callable

from cachetools import TTLCache

_REMEMBERED_SECONDS = 3.0
_PATHS_MAX = 4096
_UNAUTHORIZED = 401
_REFUSED_IN_A_ROW = 3

log = logging.getLogger(__name__)


class KeyStanding:
    """What the API said of the key lately; says once in the log that it changed.

    401 speaks of the key (RFC 9110, 15.5.2); 403 may speak of one resource alone, until it is said of
    several in a row. The lock guards all of it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said yet; `clock` tells seconds."""
        self._lock = threading.Lock()
        self._refusals: TTLCache[str | None, int] = TTLCache(_PATHS_MAX, _REMEMBERED_SECONDS, timer=clock)
        self._in_a_row = 0
        self.was_accepted = False
        """Whether it was ever accepted."""
        self._is_said = False

    def refusal(self, path: str) -> int | None:
        """The HTTP status with which a request for `path` would be refused again; None if it may be made."""
        with self._lock:
            status: int | None = self._refusals.get(None, self._refusals.get(path))
            return status

    def refused(self, path: str, status: int) -> None:
        """Take note that the API answered 401 or 403."""
        with self._lock:
            self._in_a_row += 1
            speaks_of_key = status == _UNAUTHORIZED or self._in_a_row >= _REFUSED_IN_A_ROW
            self._refusals[None if speaks_of_key else path] = status
            is_news = self.was_accepted and not self._is_said
            self._is_said = self._is_said or is_news
        if is_news:
            log.error("the API refuses the key (HTTP %d): was it revoked, or replaced?", status)

    def accepted(self) -> None:
        """Take note that the API answered something else."""
        with self._lock:
            self._in_a_row = 0
            self.was_accepted = True
            is_news, self._is_said = self._is_said, False
        if is_news:
            log.warning("the API accepts the key again")
