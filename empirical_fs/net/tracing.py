"""Logs each HTTP request for `-vv`: how it ended, and how long it took."""

import logging
import time
from collections.abc import Callable

Ended = Callable[[object], None]
"""Called with the outcome of a block that did not fail."""


class traced:  # noqa: N801 - it is called like a function
    """Log at debug level how a block ended, and how long it took."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        """`what` names the block."""
        self._log = log
        self._what = what
        self._outcome: object = "done"
        self._begun = time.monotonic()

    def __enter__(self) -> Ended:
        """Returns what may be called with the outcome of a block that did not fail."""
        return self._ended

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Log it."""
        if not self._log.isEnabledFor(logging.DEBUG):
            return
        if isinstance(error, Exception):
            self._outcome = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - self._begun
        self._log.debug("%s: %s in %.1f ms", self._what, self._outcome, seconds * 1000)

    def _ended(self, how: object) -> None:
        self._outcome = how
