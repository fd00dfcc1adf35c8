"""When a request is tried again, and how long to wait before."""

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
"""The share of a wait that was asked for by which those who wait come later."""
_ASKED_MAX = 366 * 86_400.0
"""Seconds; what is more comes to the same."""
_USELESS_MAX = 4
"""Tries after which an answer that is of no use is believed to be all that will come."""


def is_busy(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status >= _SERVER_ERRORS or status in (_REQUEST_TIMEOUT, _TOO_EARLY, _TOO_MANY_REQUESTS)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: a number or a date).

    A date is measured by the clock of the server, which the answer's own `Date` tells, so that a wrong clock
    here does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _ASKED_MAX)
    if (moment := http_date(text)) is None:
        return None
    now = http_date(headers.get("date", ""))
    return min(max(moment - (time.time() if now is None else now), 0.0), _ASKED_MAX)


class Tries:
    """Tries of one request, until no further one would start before a deadline. One thread at a time uses it.

    Each is made in a plain loop, which tells of every failure after which another try may help. Between two
    tries is the wait that the server's `Retry-After` asks for, and a little more; else it grows from a tenth
    of a second to five seconds, with jitter.
    """

    def __init__(
        self, deadline: Deadline, closing: threading.Event, gave_up: Callable[[Server, float], None]
    ) -> None:
        """Begin now.

        Args:
            deadline: no try starts after it; it may become later meanwhile.
            closing: set when all is over.
            gave_up: told of a server that was silent to the end, and of the moment of the monotonic clock at
                which the tries began.

        Raises:
            DeadlinePassed: there is no time for a single one.
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
        """Wait for the next try after this failure; until `closing` is set at most.

        Raises:
            As `pause`.
        """
        self._closing.wait(self.pause(failure))

    def pause(self, failure: Unavailable | BadAnswer | DeadlinePassed) -> float:
        """The seconds to wait until the next try after this failure.

        Raises:
            Unavailable, BadAnswer, DeadlinePassed: `failure`, if there is to be no other try; or the one
                before, if a wait took longer than it should: that says more.
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
        # The frames of its traceback hold these tries, and what the request fills.
        self._failure = failure.with_traceback(None)
        return seconds

    def _is_last(self, failure: Exception) -> bool:
        if self._closing.is_set() or isinstance(failure, DeadlinePassed):
            return True
        if isinstance(failure, BadAnswer):
            # Redirects were many already.
            return isinstance(failure, TooManyRedirects) or self._made >= _USELESS_MAX
        return isinstance(failure, Unavailable) and failure.lasting

    def _seconds(self, failure: Exception) -> float:
        asked = failure.retry_after if isinstance(failure, Unavailable) else None
        if asked:
            # Those who are asked at the same time must not come back at the same time.
            return asked + max(_JITTER, min(asked, _LONGEST_WAIT) * _SPREAD) * random.random()  # noqa: S311
        # A wait that was asked for is no failed try.
        seconds, self._next_wait = self._next_wait, min(self._next_wait * 2, _LONGEST_WAIT)
        return seconds + random.uniform(0, _JITTER)  # noqa: S311
