"""What `-vv` tells of each HTTP request: how it ended, and how long it took."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Ended = Callable[[object], None]
"""Told how something ended that did not fail."""


@contextmanager
def traced(log: logging.Logger, what: str) -> Iterator[Ended]:
    """Log what the block did, and how long it took, where anybody wants to know."""
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
