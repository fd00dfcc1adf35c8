"""Commands in a mount namespace of their own, in which mounts of other tests do not live on."""

import ctypes
import subprocess
from pathlib import Path

_NEW_MOUNTS = 0x20000

# A mount lives, and with it its process, as long as any namespace has it that was made while it was there.
# Those of other tests may also be dead or stopped on purpose, so none of them is asked (-c).
_ALONE = """
grep -aE ' - fuse[.](empirical-mount|sshfs) ' /proc/self/mountinfo | cut -d' ' -f5 | grep -avxF "$1" |
    xargs -r -d '\\n' umount -l -c -i
shift
exec "$@"
"""


def apart(*command: str | Path, keeping: Path | None = None, also: tuple[str, ...] = ()) -> list[str | Path]:
    """The command line that runs `command` where of all our mounts only the one at `keeping` is.

    `also` are more options for unshare(1).
    """
    flags = ("--mount", "--propagation", "private", *also)
    return ["unshare", *flags, "sh", "-c", _ALONE, "sh", keeping or "none", *command]


def go_apart(keeping: Path | None) -> None:
    """Have this process, of which nothing runs yet, where of all our mounts only the one at `keeping` is."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["sh", "-c", _ALONE, "sh", keeping or "none", "true"], check=True)
