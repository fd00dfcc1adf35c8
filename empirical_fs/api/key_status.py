"""Remembers for a while whether the API accepts the key, so that reads do not send a revoked key again."""

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
    """Whether the API has lately accepted or refused the key; logs each change once.

    401 always concerns the key (RFC 9110, 15.5.2); 403 may concern one resource only, unless three requests
    in a row get it. The lock guards all attributes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with an untested key; `clock` gives seconds."""
        self._lock = threading.Lock()
        self._refusals: TTLCache[str | None, int] = TTLCache(_PATHS_MAX, _REMEMBERED_SECONDS, timer=clock)
        self._in_a_row = 0
        self.was_accepted = False
        """Whether the API has ever accepted it, in this mount or an earlier one."""
        self._is_said = False

    def presume(self) -> None:
        """Take it that the API has accepted the key in an earlier mount."""
        with self._lock:
            self.was_accepted = True

    def refusal(self, path: str) -> int | None:
        """The HTTP status (401 or 403) that a request for `path` would get again; None if it may be sent."""
        with self._lock:
            status: int | None = self._refusals.get(None, self._refusals.get(path))
            return status

    def refused(self, path: str, status: int) -> None:
        """Record that the API answered 401 or 403."""
        with self._lock:
            self._in_a_row += 1
            speaks_of_key = status == _UNAUTHORIZED or self._in_a_row >= _REFUSED_IN_A_ROW
            self._refusals[None if speaks_of_key else path] = status
            is_news = self.was_accepted and not self._is_said
            self._is_said = self._is_said or is_news
        if is_news:
            log.error("the API refuses the key (HTTP %d): was it revoked, or replaced?", status)

    def accepted(self) -> None:
        """Record that the API answered something else, and so accepted the key."""
        with self._lock:
            self._in_a_row = 0
            self.was_accepted = True
            is_news, self._is_said = self._is_said, False
        if is_news:
            log.warning("the API accepts the key again")
