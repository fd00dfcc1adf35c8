"""Logs each HTTP request for `-vv`: how it ended, and how long it took."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Ended = Callable[[object], None]
"""Called with the outcome of a block that did not fail."""


@contextmanager
def traced(log: logging.Logger, what: str) -> Iterator[Ended]:
    """Log at debug level how the block ended, and how long it took; `what` names it."""
    outcome: object = "done"

    def ended(how: object) -> None:
        nonlocal outcome
        outcome = how

    begun = time.monotonic()
    try:
        yield ended
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
        raise
    finally:
        log.debug("%s: %s in %.1f ms", what, outcome, (time.monotonic() - begun) * 1000)
