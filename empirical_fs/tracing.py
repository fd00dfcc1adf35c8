"""What `-vv` tells of: each operation of the kernel's and each request, how it ended, how long it took."""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

log = logging.getLogger(__name__)

Ended = Callable[[object], None]
"""Told how something ended that did not fail."""


class Traceable(Protocol):
    """Operations that can say what they are about."""

    def __call__(self, operation: str, *args: Any) -> Any:
        """Run one."""

    def subject(self, args: tuple[Any, ...]) -> str:
        """The path that an operation with these arguments is for."""


class TracedOperations:
    """Operations whose every call is logged."""

    def __init__(self, operations: Traceable) -> None:
        """Pass everything on to `operations`."""
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        """What fusepy looks for: which operations there are, and how they want to be called."""
        return getattr(self._operations, name)

    def __call__(self, operation: str, *args: Any) -> Any:
        """Run one operation and log it."""
        extent = ""
        if operation == "read":
            _, view, offset, _ = args
            extent = f" {len(view)} bytes at {offset}"
        # As a literal: whoever looks a name up may have put a line break into it.
        with traced(log, f"{operation} {self._operations.subject(args)!r}{extent}") as ended:
            result = self._operations(operation, *args)
            if isinstance(result, int):
                ended(result)
            return result


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
        outcome = _described(error)
        raise
    finally:
        log.debug("%s: %s in %.1f ms", what, outcome, (time.monotonic() - begun) * 1000)


def _described(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return f"{type(error).__name__}: {error}"
