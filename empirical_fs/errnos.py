"""The table of errnos that programs receive for our errors."""

import errno

from empirical_fs.errors import (
    Abandoned,
    ContentChanged,
    EmpiricalError,
    Interrupted,
    KeyRefused,
    NoSuchFile,
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


def errno_for(error: EmpiricalError) -> int:
    """The errno for an error."""
    return next(ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO)
