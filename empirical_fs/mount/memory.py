"""The memory that a mount takes, found out before anything is mounted."""

import mmap
import resource

from empirical_fs.errors import SetupError

NEEDED = 16 * 2**20
"""Bytes that must be to spare. An idle mount takes 14 MB of data more than the command that begins it."""

_KIB, _MIB = 2**10, 2**20
_LIMITS = {
    "ulimit -d": (resource.RLIMIT_DATA, "LimitDATA="),
    "ulimit -v": (resource.RLIMIT_AS, "LimitAS="),
}


def check_memory() -> None:
    """See whether there is enough, by taking it: with less a mount comes up, and then ends at once.

    Raises:
        SetupError: there is not.
    """
    try:
        mmap.mmap(-1, NEEDED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise SetupError(
            f"too little memory: {error.strerror} for the {NEEDED // _MIB} MiB that a mount needs",
            advice=_advice(),
        ) from error


def _advice() -> str:
    """The limits that there are, with how systemd calls them."""
    named = [
        f"{name}, which is {most // _KIB} ({setting} of systemd)"
        for name, (limit, setting) in _LIMITS.items()
        if (most := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY
    ]
    return f"raise {' and '.join(named)}" if named else "end some programs, or look at vm.overcommit_memory"
