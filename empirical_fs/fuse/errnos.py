"""The table of errnos that programs receive for our errors."""

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
    # The version that the handle was opened for no longer exists; NFS uses this errno for that.
    ContentChanged: errno.ESTALE,
    ResourceGone: errno.ESTALE,
    Abandoned: errno.EINTR,
    Interrupted: errno.EINTR,
    # Everything else is a read that failed within the deadline.
    EmpiricalError: errno.EIO,
}

UNTOLD = (NoSuchFile, Abandoned, Closing, KeyRefused, OutOfReach)
"""Errors that are not logged here: they are normal, or were logged when the problem began."""


class Refusal(Exception):
    """Answers an operation with an errno, as a local file system would; it is not logged."""

    def __init__(self, number: int) -> None:
        """Keep the errno."""
        super().__init__(errno.errorcode[number])
        self.number = number


def errno_of(error: BaseException) -> int | None:
    """The errno for an error; None for an unexpected one (a bug)."""
    if isinstance(error, Refusal):
        return error.number
    return next((ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO), None)
