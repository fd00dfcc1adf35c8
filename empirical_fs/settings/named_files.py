"""Reads a small file that the user named; it may be a pipe to which no process writes."""

import errno
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 10.0
"""Seconds within which the whole file must arrive: `--key-file <(pass show key)` may take a few."""
_PIECE = 2**16


def read_named(path: Path, most: int, check: Callable[[int], object]) -> bytes:
    """Read a file, or its first `most` bytes.

    Args:
        path: the file.
        most: the maximum number of bytes.
        check: called with the descriptor before anything is read; it may raise.

    Raises:
        OSError: it cannot be read, or does not arrive in time.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        check(descriptor)
        content, deadline = b"", time.monotonic() + _PATIENCE
        while len(content) < most:
            _wait(descriptor, deadline)
            piece = os.read(descriptor, min(_PIECE, most - len(content)))
            if not piece:
                break
            content += piece
        return content
    finally:
        os.close(descriptor)


def _wait(descriptor: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
        raise OSError(errno.ETIMEDOUT, f"it did not arrive within {_PATIENCE:.0f} s")
