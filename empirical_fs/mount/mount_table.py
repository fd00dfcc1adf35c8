"""Reads the kernel's table of mounts."""

import os
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from empirical_fs import macos
from empirical_fs.errors import SetupError
from empirical_fs.settings.mount_options import FUSE_SUBTYPE, SOURCE_PREFIX

TYPE = f"fuse.{FUSE_SUBTYPE}"
"""The type of our mounts in the kernel's table."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_CHUNK = 2**16


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
    if "\\" not in text:
        return text
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


def _table() -> list[Mount]:
    if macos.IS_MACOS:
        import psutil  # noqa: PLC0415 - slow to import, and not needed on Linux

        return from_partitions(psutil.disk_partitions(all=True))
    return parse_mountinfo(os.fsdecode(_MOUNTINFO.read_bytes()))


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
