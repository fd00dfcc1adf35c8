"""Reads a small file that the user has named, which may be a pipe that nobody writes to."""

import errno
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 10.0
"""Seconds in which it has to be there as a whole: `--key-file <(pass show key)` may take some."""
_PIECE = 2**16


def read_named(path: Path, most: int, check: Callable[[int], object]) -> bytes:
    """The content of a file, or its first `most` bytes.

    Args:
        path: the file.
        most: bytes.
        check: told the descriptor before anything is read; it may raise.

    Raises:
        OSError: it cannot be read, or does not come in time.
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
        raise OSError(errno.ETIMEDOUT, f"nobody writes to it, for {_PATIENCE:.0f} s")
