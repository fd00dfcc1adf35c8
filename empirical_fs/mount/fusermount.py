"""Checks that this machine can mount, and unmounts: by fusermount, or by umount2(2)."""

import ctypes
import errno
import os
import subprocess
from pathlib import Path

from empirical_fs import macos
from empirical_fs.errors import SetupError

FUSE_DEVICE = Path("/dev/fuse")
_UNMOUNT_SECONDS = 30
_REASON_MAX = 300
"""Characters of what fusermount says."""
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


class Busy(SetupError):
    """A process has a file open or its working directory in the mount."""

    def __init__(self, mountpoint: Path) -> None:
        """Name the mount that is in use."""
        super().__init__(
            f"{mountpoint} is busy: close the files that are open there, and leave the directory"
        )


def check_machine() -> None:
    """Check that this machine can mount at all: that there are /dev/fuse and, for users, fusermount.

    Raises:
        SetupError: one of them is missing.
    """
    if macos.IS_MACOS:
        return  # macFUSE loads its kernel extension when it mounts
    check_device()
    if os.getuid() != 0:
        find_fusermount()


def check_device() -> None:
    """Check that the device of FUSE exists.

    Raises:
        SetupError: it does not.
    """
    if not FUSE_DEVICE.exists():
        raise SetupError(
            f"{FUSE_DEVICE} is missing",
            advice="run: sudo modprobe fuse"
            " (in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN)",
        )


def find_fusermount() -> str:
    """The path of fusermount, the set-uid program that mounts and unmounts for users without the right to.

    Raises:
        SetupError: it is not installed.
    """
    found = _fusermount()
    if found is None:
        advice = "on Debian and Ubuntu: sudo apt install fuse"
        raise SetupError("fusermount is not installed", advice=advice)
    return found


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Unmount; with `lazy`, the mount disappears from its path at once, and programs that use it may finish.

    Raises:
        Busy: it is in use.
        SetupError: it could not be unmounted.
    """
    fusermount = _fusermount()
    if macos.IS_MACOS:
        command = macos.unmount_command(str(mountpoint), lazy=lazy)
    elif fusermount is not None:
        command = [fusermount, "-u", *(["-z"] if lazy else []), "--", str(mountpoint)]
    else:
        _unmount_directly(mountpoint, lazy=lazy)
        return
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, and a path after `--`
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_UNMOUNT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        silent = f"cannot unmount {mountpoint}: {command[0]} did not end within {_UNMOUNT_SECONDS} s"
        raise SetupError(silent, advice=f"as root: umount -l {mountpoint}") from error
    except OSError as error:
        raise SetupError(f"cannot unmount {mountpoint}: {error.strerror}") from error
    if done.returncode == 0:
        return
    reason = " ".join(done.stderr.split())[:_REASON_MAX]
    if "busy" in reason:
        raise Busy(mountpoint)
    raise SetupError(f"cannot unmount {mountpoint}: {reason}")


def _unmount_directly(mountpoint: Path, *, lazy: bool) -> None:
    """Call umount2(2), as root may: for a container in which fusermount is not installed."""
    system = ctypes.CDLL(None, use_errno=True)
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    if system.umount2(os.fsencode(mountpoint), flags) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EBUSY:
        raise Busy(mountpoint)
    raise SetupError(f"cannot unmount {mountpoint}: {os.strerror(number)}")


def _fusermount() -> str | None:
    from shutil import which  # noqa: PLC0415 - its compressors take a tenth of a command that needs none

    return which("fusermount") or which("fusermount3")
