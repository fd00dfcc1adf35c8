"""The errnos that programs receive from the kernel."""

import errno

from empirical_fs.errnos import errno_for
from empirical_fs.errors import Abandoned, Closing, EmpiricalError, KeyRefused, NoSuchFile, OutOfReach

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
    return errno_for(error) if isinstance(error, EmpiricalError) else None
