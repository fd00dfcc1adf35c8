"""What the binding gives to operations, and what it is asked and told: the terms of libfuse."""

import time
from collections.abc import Mapping
from typing import Protocol


class FileInfo(Protocol):
    """The fields of libfuse's `struct fuse_file_info` that are used here."""

    flags: int
    fh: int
    keep_cache: int


class Kernel(Protocol):
    """What the binding is told when the file system comes up and goes down."""

    def connected(self) -> None:
        """The kernel has accepted the mount; called from a callback of libfuse."""

    def disconnected(self) -> None:
        """The mount is gone."""

    def is_interrupted(self) -> bool:
        """Whether the caller of the operation that this thread runs has been interrupted."""

    def caller(self) -> int:
        """The id of the thread that called for the operation of this one; 0 for the kernel's own."""

    def caller_user(self) -> int:
        """The id of the user who called for it."""


class Wait:
    """A read that may take a while, and whether anybody still waits for it.

    Who is killed while the kernel reads ahead for it is not reported; but it closes the file, and no thread
    closes a file while it waits for its bytes. If others wait for the same pages, the kernel asks anew.
    """

    def __init__(self, kernel: Kernel, left: Mapping[int, float]) -> None:
        """Begin to wait; `left` has the threads that closed the file, and when on the monotonic clock."""
        self._kernel = kernel
        self._left = left
        self._begun = time.monotonic()
        self._caller: int | None = None

    def is_over(self) -> bool:
        """Called by the thread that runs the read, from time to time while it waits."""
        if self._caller is None:
            self._caller = self._kernel.caller()
        left_at = self._left.get(self._caller)
        return (left_at is not None and left_at >= self._begun) or self._kernel.is_interrupted()
