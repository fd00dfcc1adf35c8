"""What the error of a system call means for the cache. No I/O."""

import errno
from enum import Enum, auto


class Effect(Enum):
    """What is done about an error."""

    PAUSE = auto()
    """Nothing is written for a while: the cause concerns all files, and may go away."""
    SHORT_PAUSE = auto()
    """The same for a moment: the process or the machine lacks something that others give back soon."""
    FILE_OFF = auto()
    """The file is left alone: its part of the disk is bad, or something else is."""


_ALL_FILES = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENODEV,
        errno.ENXIO,
        errno.ETIMEDOUT,
    }
)


_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def effect(error: OSError) -> Effect:
    """What to do about an error of a write."""
    if error.errno in _SHORTAGES:
        return Effect.SHORT_PAUSE
    return Effect.PAUSE if error.errno in _ALL_FILES else Effect.FILE_OFF
