"""Which errno a program hears for what went wrong: the one table."""

import errno

from empirical_fs.errors import (
    Abandoned,
    Closing,
    ContentChanged,
    EmpiricalError,
    Interrupted,
    KeyRefused,
    NoSuchFile,
    OutOfReach,
    ResourceGone,
)

ERRNO: dict[type[EmpiricalError], int] = {
    NoSuchFile: errno.ENOENT,
    KeyRefused: errno.EACCES,
    # The bytes that the handle was opened for are no longer there, for whatever reason: NFS's word for it.
    ContentChanged: errno.ESTALE,
    ResourceGone: errno.ESTALE,
    Abandoned: errno.EINTR,
    Interrupted: errno.EINTR,
    # Everything else is a read that failed, and did so within the deadline.
    EmpiricalError: errno.EIO,
}

UNTOLD = (NoSuchFile, Abandoned, Closing, KeyRefused, OutOfReach)
"""What is no event for the log, or one that was told in it when it began."""


class Refusal(Exception):
    """An operation that is answered with an errno, as an ordinary local file system would; no event."""

    def __init__(self, number: int) -> None:
        """Keep the errno."""
        super().__init__(errno.errorcode[number])
        self.number = number


def errno_of(error: BaseException) -> int | None:
    """The errno for an error; None for one that should not have been."""
    if isinstance(error, Refusal):
        return error.number
    return next((ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO), None)
