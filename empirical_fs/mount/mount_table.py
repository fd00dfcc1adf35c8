"""What is mounted, whether it lives, and taking it away."""

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
"""What the table of mounts says of ours."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_UNMOUNT_SECONDS = 30
_REASON_MAX = 300
"""Characters of what fusermount says."""
_CHUNK = 2**16
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of the table of mounts."""

    mountpoint: str
    kind: str
    source: str
    device: str
    """Major and minor number: no other mount's while anybody uses this one, mounted or not; none on macOS."""

    @property
    def is_ours(self) -> bool:
        """Whether this program made it."""
        return self.kind == TYPE or ("fuse" in self.kind and self.source.startswith(SOURCE_PREFIX))


class Partition(Protocol):
    """What psutil tells of a mount."""

    @property
    def mountpoint(self) -> str:
        """Where."""

    @property
    def fstype(self) -> str:
        """What it is."""

    @property
    def device(self) -> str:
        """Its source."""


class Busy(SetupError):
    """Somebody has a file open or a working directory in the mount."""

    def __init__(self, mountpoint: Path) -> None:
        """Say so."""
        super().__init__(
            f"{mountpoint} is busy: close the files that are open there, and leave the directory"
        )


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts of a /proc/PID/mountinfo, in the order in which they were made (proc(5))."""
    mounts = []
    for line in filter(None, text.split("\n")):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        kind, source = after.split(" ")[:2]
        mounts.append(Mount(_unescaped(fields[4]), kind, _unescaped(source), fields[2]))
    return mounts


def _unescaped(text: str) -> str:
    """mountinfo writes space, tab, newline and backslash as three octal digits."""
    for character in " \t\n":
        text = text.replace(f"\\{ord(character):03o}", character)
    return text.replace("\\134", "\\")


def mount_at(mountpoint: Path) -> Mount | None:
    """What is mounted at exactly this path, if anything; asks the kernel's table and never the mount."""
    mounts = layers(mountpoint)
    return mounts[-1] if mounts else None


def layers(mountpoint: Path) -> list[Mount]:
    """What is mounted at exactly this path, the one on top last."""
    return [mount for mount in _table() if mount.mountpoint == str(mountpoint)]


def ours() -> list[Mount]:
    """The mounts of this program that can be seen from here."""
    return [mount for mount in _table() if mount.is_ours]


def fuse_mounts() -> int:
    """How many FUSE mounts there are, of whatever program, as fusermount counts them."""
    return sum(mount.kind == "fuse" or mount.kind.startswith("fuse.") for mount in _table())


class HeldTable:
    """The kernel's table for who asks it when no descriptor may be left to open it with."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            OSError: there is no descriptor now.
        """
        # Guards the place in the file up to which it was read.
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        if not macos.IS_MACOS:
            self._descriptor = os.open(_MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
            # Whoever has the table may ask until the end.
            weakref.finalize(self, os.close, self._descriptor).atexit = False

    def has(self, mount: Mount) -> bool:
        """Whether nobody has taken this very mount away; another one at its place does not count."""
        if self._descriptor is None:
            return mount in _table()
        with self._lock:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            text = b"".join(iter(partial(os.read, self._descriptor, _CHUNK), b""))
        return mount in parse_mountinfo(os.fsdecode(text))


def from_partitions(partitions: Iterable[Partition]) -> list[Mount]:
    """The mounts of psutil's table, for systems that have no /proc."""
    return [Mount(each.mountpoint, each.fstype, each.device, "") for each in partitions]


def check_answers(paths: Iterable[Path]) -> None:
    """See that mounts of ours in which these paths lie answer: nobody comes past one that hangs.

    Raises:
        Silent: one does not answer.
        OSError: one cannot be asked.
    """
    places = {Path(mount.mountpoint) for mount in ours()}
    for place in places.intersection(parent for path in paths for parent in path.parents):
        is_dead(place)


def is_dead(mountpoint: Path) -> bool:
    """Whether what is mounted here lost its process; waits two seconds for a living one to answer.

    Raises:
        Silent: it does not answer.
        OSError: it cannot be asked.
    """
    return lost_its_process(Question(mountpoint))


def lost_its_process(question: Question) -> bool:
    """As `is_dead`, of a mount that was asked before.

    Raises:
        Silent: it does not answer.
        OSError: it cannot be asked.
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
        import psutil  # noqa: PLC0415 - it takes a while, and Linux does without

        return from_partitions(psutil.disk_partitions(all=True))
    return parse_mountinfo(os.fsdecode(_MOUNTINFO.read_bytes()))


def check_machine() -> None:
    """See whether this machine can mount at all.

    Raises:
        SetupError: it cannot.
    """
    if macos.IS_MACOS:
        return  # macFUSE loads what it needs when it is asked to mount
    check_device()
    if os.getuid() != 0:
        find_fusermount()


def check_device() -> None:
    """See whether the kernel's side of FUSE is there.

    Raises:
        SetupError: it is not.
    """
    if not FUSE_DEVICE.exists():
        raise SetupError(
            f"{FUSE_DEVICE} is missing",
            advice="run: sudo modprobe fuse"
            " (in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN)",
        )


def find_fusermount() -> str:
    """The program that mounts and unmounts for those who may not.

    Raises:
        SetupError: it is not there.
    """
    found = _fusermount()
    if found is None:
        advice = "on Debian and Ubuntu: sudo apt install fuse"
        raise SetupError("fusermount is not installed", advice=advice)
    return found


def unmount(mountpoint: Path, *, lazy: bool = False) -> None:
    """Take the mount away; `lazy`, at once for new users and from the present ones as they finish.

    Raises:
        Busy: it is in use.
        SetupError: it could not be taken away.
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
    """As root can where nothing is installed, in a container of this program alone (umount2(2))."""
    system = ctypes.CDLL(None, use_errno=True)
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    if system.umount2(os.fsencode(mountpoint), flags) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EBUSY:
        raise Busy(mountpoint)
    raise SetupError(f"cannot unmount {mountpoint}: {os.strerror(number)}")


def find_ours(mountpoint: Path) -> Path:
    """The mountpoint, if a mount of this program is there, alive or dead.

    Raises:
        SetupError: there is none.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        raise SetupError(f"nothing is mounted at {mountpoint}")
    if not mount.is_ours:
        raise SetupError(f"what is mounted at {mountpoint} ({mount.kind}) is not ours")
    return mountpoint


def _fusermount() -> str | None:
    return shutil.which("fusermount") or shutil.which("fusermount3")
