"""Finds mounts in the kernel's table, checks whether they answer, and unmounts them."""

import ctypes
import errno
import os
import shutil
import subprocess
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from empirical_fs import macos
from empirical_fs.control.question import Question
from empirical_fs.errors import SetupError
from empirical_fs.settings.mount_options import FUSE_SUBTYPE, SOURCE_PREFIX

FUSE_DEVICE = Path("/dev/fuse")
TYPE = f"fuse.{FUSE_SUBTYPE}"
"""The type of our mounts in the kernel's table."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_UNMOUNT_SECONDS = 30
_REASON_MAX = 300
"""Characters of what fusermount says."""
_CHUNK = 2**16
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the kernel's table of mounts."""

    mountpoint: str
    kind: str
    source: str
    device: str
    """Major and minor number, as in `0:45`; empty on macOS. No other mount gets them while a program still
    uses this one, even after its unmount."""

    @property
    def is_ours(self) -> bool:
        """Whether empirical-mount made the mount."""
        return self.kind == TYPE or ("fuse" in self.kind and self.source.startswith(SOURCE_PREFIX))


class Partition(Protocol):
    """What psutil reports about a mount."""

    @property
    def mountpoint(self) -> str:
        """The path of the mount."""

    @property
    def fstype(self) -> str:
        """The type of the file system."""

    @property
    def device(self) -> str:
        """The source of the mount."""


class Busy(SetupError):
    """A process has a file open or its working directory in the mount."""

    def __init__(self, mountpoint: Path) -> None:
        """Name the mount that is in use."""
        super().__init__(
            f"{mountpoint} is busy: close the files that are open there, and leave the directory"
        )


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in the text of a /proc/PID/mountinfo, in the order in which they were made (proc(5))."""
    mounts = []
    for line in filter(None, text.split("\n")):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        kind, source = after.split(" ")[:2]
        mounts.append(Mount(_unescaped(fields[4]), kind, _unescaped(source), fields[2]))
    return mounts


def _unescaped(text: str) -> str:
    """Replace escapes: mountinfo writes space, tab, newline and backslash as `\\` and three octal digits."""
    for character in " \t\n":
        text = text.replace(f"\\{ord(character):03o}", character)
    return text.replace("\\134", "\\")


def mount_at(mountpoint: Path) -> Mount | None:
    """The mount at exactly this path, if any; looks into the kernel's table only, not at the mount itself."""
    mounts = layers(mountpoint)
    return mounts[-1] if mounts else None


def layers(mountpoint: Path) -> list[Mount]:
    """All mounts at exactly this path, the one on top last."""
    return [mount for mount in _table() if mount.mountpoint == str(mountpoint)]


def ours() -> list[Mount]:
    """All mounts of this program in our mount namespace."""
    return [mount for mount in _table() if mount.is_ours]


def fuse_mounts() -> int:
    """The number of FUSE mounts of all programs, as fusermount counts them."""
    return sum(mount.kind == "fuse" or mount.kind.startswith("fuse.") for mount in _table())


def kind_of(path: Path) -> str | None:
    """The type of the file system that `path` is on; None if the kernel's table does not say.

    Raises:
        OSError: the path cannot be examined.
    """
    device = path.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    return next((mount.kind for mount in _table() if mount.device == name), None)


class HeldTable:
    """The kernel's table, opened in advance for a time when the process may have no descriptor left."""

    def __init__(self) -> None:
        """Open the table.

        Raises:
            OSError: the process has no descriptor left, or /proc is missing.
        """
        # Guards the offset of the open file.
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        if not macos.IS_MACOS:
            self._descriptor = os.open(_MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
            # Not closed at the exit of Python, when a thread may still call `has`.
            weakref.finalize(self, os.close, self._descriptor).atexit = False

    def has(self, mount: Mount) -> bool:
        """Whether this very mount is still mounted; another mount at the same path does not count."""
        if self._descriptor is None:
            return mount in _table()
        with self._lock:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            text = b"".join(iter(partial(os.read, self._descriptor, _CHUNK), b""))
        return mount in parse_mountinfo(os.fsdecode(text))


def from_partitions(partitions: Iterable[Partition]) -> list[Mount]:
    """The mounts in psutil's table, for systems without /proc."""
    return [Mount(each.mountpoint, each.fstype, each.device, "") for each in partitions]


def check_answers(paths: Iterable[Path]) -> None:
    """Check that our mounts that contain these paths answer: access to a path in a mount that hangs, hangs.

    Raises:
        Silent: a mount does not answer.
        OSError: a mount cannot be asked.
    """
    places = {Path(mount.mountpoint) for mount in ours()}
    for place in places.intersection(parent for path in paths for parent in path.parents):
        is_dead(place)


def is_dead(mountpoint: Path) -> bool:
    """Whether the process of the mount at this path has ended; waits two seconds for the mount's answer.

    Raises:
        Silent: the mount does not answer.
        OSError: the mount cannot be asked.
    """
    return lost_its_process(Question(mountpoint))


def lost_its_process(question: Question) -> bool:
    """As `is_dead`, for a mount that `question` has asked already.

    Raises:
        Silent: the mount does not answer.
        OSError: the mount cannot be asked.
    """
    try:
        question.answer()
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
            raise
        return True
    return False


def _table() -> list[Mount]:
    if macos.IS_MACOS:
        import psutil  # noqa: PLC0415 - slow to import, and not needed on Linux

        return from_partitions(psutil.disk_partitions(all=True))
    return parse_mountinfo(os.fsdecode(_MOUNTINFO.read_bytes()))


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


def find_ours(mountpoint: Path) -> Path:
    """Return `mountpoint` if a mount of this program is there, whether its process runs or not.

    Raises:
        SetupError: no mount of this program is there.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        raise SetupError(f"nothing is mounted at {mountpoint}")
    if not mount.is_ours:
        raise SetupError(f"what is mounted at {mountpoint} ({mount.kind}) is not ours")
    return mountpoint


def _fusermount() -> str | None:
    return shutil.which("fusermount") or shutil.which("fusermount3")
