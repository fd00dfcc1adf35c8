"""Decides whether a failed request is tried again, and how long to wait before."""

import random
import threading
import time
from collections.abc import Callable, Mapping

from empirical_fs.clock import Deadline
from empirical_fs.errors import BadAnswer, DeadlinePassed, TooManyRedirects, Unavailable
from empirical_fs.server import Server
from empirical_fs.timestamps import http_date

_REQUEST_TIMEOUT, _TOO_EARLY, _TOO_MANY_REQUESTS, _SERVER_ERRORS = 408, 425, 429, 500
_FIRST_WAIT, _LONGEST_WAIT, _JITTER = 0.1, 5.0, 0.1
_SPREAD = 0.25
"""Clients wait longer than the server asked for, by a random share of its wait, up to this one."""
_ASKED_MAX = 366 * 86_400.0
"""Seconds: a year. Longer waits are cut to it, which makes no difference."""
_USELESS_MAX = 4
"""After this many tries with a useless answer we give up."""


def is_busy(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status >= _SERVER_ERRORS or status in (_REQUEST_TIMEOUT, _TOO_EARLY, _TOO_MANY_REQUESTS)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: a number or a date), or None.

    A date is compared with the answer's own `Date`, the server's clock, so that a wrong clock here does not
    matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _ASKED_MAX)
    if (moment := http_date(text)) is None:
        return None
    now = http_date(headers.get("date", ""))
    return min(max(moment - (time.time() if now is None else now), 0.0), _ASKED_MAX)


class Tries:
    """The tries of one request: another one starts only before the deadline. For one thread at a time.

    The caller tries in a loop, and calls `wait` or `pause` after each failure that another try may cure. The
    wait is what the server's `Retry-After` asks for, and a little more; without it, the wait grows from a
    tenth of a second to five seconds, with jitter.
    """

    def __init__(
        self, deadline: Deadline, closing: threading.Event, gave_up: Callable[[Server, float], None]
    ) -> None:
        """Start the time of the tries now.

        Args:
            deadline: no try starts after it; it may be moved to a later time meanwhile.
            closing: set when the file system is being unmounted.
            gave_up: called with the server when it was silent until the last try, and with the time of the
                monotonic clock at which the tries began.

        Raises:
            DeadlinePassed: it has passed already.
        """
        deadline.remaining()
        self._deadline = deadline
        self._closing = closing
        self._gave_up = gave_up
        self._begun = time.monotonic()
        self._made = 0
        self._next_wait = _FIRST_WAIT
        self._failure: Exception | None = None

    def wait(self, failure: Unavailable | BadAnswer | DeadlinePassed) -> None:
        """Wait until the next try after this failure, or until `closing` is set.

        Raises:
            As `pause`.
        """
        self._closing.wait(self.pause(failure))

    def pause(self, failure: Unavailable | BadAnswer | DeadlinePassed) -> float:
        """The seconds to wait until the next try after this failure.

        Raises:
            Unavailable, BadAnswer, DeadlinePassed: `failure`, if there is no further try; or, if it is a
                DeadlinePassed, the failure before it, which says more.
        """
        self._made += 1
        seconds = self._seconds(failure)
        if self._is_last(failure) or time.monotonic() + seconds >= self._deadline.at:
            before = self._failure if isinstance(failure, DeadlinePassed) else None
            final = failure if before is None else before
            silent = final.silent if isinstance(final, Unavailable) else None
            if silent is not None and not self._closing.is_set():
                self._gave_up(silent, self._begun)
            raise final
        # Its traceback's frames would keep this object and the request's buffers alive.
        self._failure = failure.with_traceback(None)
        return seconds

    def _is_last(self, failure: Exception) -> bool:
        if self._closing.is_set() or isinstance(failure, DeadlinePassed):
            return True
        if isinstance(failure, BadAnswer):
            # A chain of too many redirects will not become shorter.
            return isinstance(failure, TooManyRedirects) or self._made >= _USELESS_MAX
        return isinstance(failure, Unavailable) and failure.lasting

    def _seconds(self, failure: Exception) -> float:
        """How long to wait before the next try: what the server asked for, else the growing wait."""
        asked = failure.retry_after if isinstance(failure, Unavailable) else None
        if asked:
            # Clients that the server refused at the same time must not all come back at the same time.
            return asked + max(_JITTER, min(asked, _LONGEST_WAIT) * _SPREAD) * random.random()  # noqa: S311
        # Only here does the wait grow: one that the server asked for does not count as a failed try.
        seconds, self._next_wait = self._next_wait, min(self._next_wait * 2, _LONGEST_WAIT)
        return seconds + random.uniform(0, _JITTER)  # noqa: S311
