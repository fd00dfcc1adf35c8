"""Checks, before mounting, that there is enough memory for a mount."""

import mmap
import resource

from empirical_fs.errors import SetupError

NEEDED = 16 * 2**20
"""Bytes that must be available. An idle mount takes 14 MB of data more than the command that starts it."""

_KIB, _MIB = 2**10, 2**20
_LIMITS = {
    "ulimit -d": (resource.RLIMIT_DATA, "LimitDATA="),
    "ulimit -v": (resource.RLIMIT_AS, "LimitAS="),
}


def check_memory() -> None:
    """Check that there is enough memory, by mapping it. With less, a mount would end just after its start.

    Raises:
        SetupError: there is too little.
    """
    try:
        mmap.mmap(-1, NEEDED, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise SetupError(
            f"too little memory: {error.strerror} for the {NEEDED // _MIB} MiB that a mount needs",
            advice=_advice(),
        ) from error


def _advice() -> str:
    """Advice that names the limits that are set, and the settings of systemd for them."""
    named = [
        f"{name}, which is {most // _KIB} ({setting} of systemd)"
        for name, (limit, setting) in _LIMITS.items()
        if (most := resource.getrlimit(limit)[0]) != resource.RLIM_INFINITY
    ]
    return f"raise {' and '.join(named)}" if named else "end some programs, or look at vm.overcommit_memory"
