"""When a request is tried again, and how long to wait before."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_any,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)
from tenacity.stop import stop_base

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


def retrying(
    kinds: type[Unavailable] | tuple[type[Unavailable | BadAnswer], ...],
    deadline: Deadline,
    closing: threading.Event,
    gave_up: Callable[[Server, float], None],
    sleep: Callable[[float], object] | None = None,
) -> Retrying:
    """Tries that go on while they fail with `kinds`, until no further one would start before `deadline`.

    Of answers that are of no use (BadAnswer), a few are enough.
    Waits are what the server's `Retry-After` says and a little more; else they grow exponentially from a
    tenth of a second, with jitter. They end early when `closing` is set, unless `sleep` is told of them, and
    waits itself. The last failure is raised; if it is a server's silence, `gave_up` is told first, with the
    moment of the monotonic clock at which this began.
    """
    deadline.remaining()
    begun = time.monotonic()
    failures: list[BaseException | None] = []

    def note(state: RetryCallState) -> None:
        failures.append(_failure(state))

    def end(state: RetryCallState) -> NoReturn:
        failure = _failure(state)
        if isinstance(failure, DeadlinePassed) and failures:
            # A wait took longer than it should: what went wrong before says more.
            failure = failures[-1]
        assert failure is not None
        if isinstance(failure, Unavailable) and failure.silent is not None and not closing.is_set():
            gave_up(failure.silent, begun)
        raise failure

    return _Tries(
        retry=retry_if_exception_type(kinds) | retry_if_exception_type(DeadlinePassed),
        wait=_polite(wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT) + wait_random(0, _JITTER)),
        stop=stop_any(
            _TooLittleTime(deadline), stop_when_event_set(closing), _TooLate(), _TooUseless(), _InVain()
        ),
        before_sleep=note,
        sleep=sleep or sleep_using_event(closing),
        retry_error_callback=end,
    )


class _Tries(Retrying):
    """Tries that go on in another thread than they began in, if need be."""

    def __init__(self, **policy: Any) -> None:
        super().__init__(**policy)
        # By default tenacity's count of the tries is the thread's.
        self._local = SimpleNamespace()  # type: ignore[assignment]


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


class _TooLittleTime(stop_base):
    """Stops where the next try would not begin before the deadline, which may become later."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep >= self._deadline.at


class _TooLate(stop_base):
    """Stops after a try that the deadline did not let begin."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        return isinstance(_failure(retry_state), DeadlinePassed)


class _TooUseless(stop_base):
    """Stops after an answer of no use, if there have been several tries; redirects were many already."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        most = 1 if isinstance(_failure(retry_state), TooManyRedirects) else _USELESS_MAX
        return isinstance(_failure(retry_state), BadAnswer) and retry_state.attempt_number >= most


class _InVain(stop_base):
    """Stops after a failure that will be the same in a moment."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        failure = _failure(retry_state)
        return isinstance(failure, Unavailable) and failure.lasting


def _polite(wait: Callable[[RetryCallState], float]) -> Callable[[RetryCallState], float]:
    def as_asked(state: RetryCallState) -> float:
        failure = _failure(state)
        asked = failure.retry_after if isinstance(failure, Unavailable) else None
        if not asked:
            return wait(state)
        # Those who are asked at the same time must not come back at the same time.
        return asked + max(_JITTER, min(asked, _LONGEST_WAIT) * _SPREAD) * random.random()  # noqa: S311

    return as_asked
