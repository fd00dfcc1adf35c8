"""The system calls of the cache, in one object, so that tests can put another one in its place."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from empirical_fs.cache.bounds import Space

STAT_BLOCK = 512
"""The unit of st_blocks, whatever the file system's."""
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_NO_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)
"""The flag of preadv2(2), which only Linux has."""
_COMMON = os.O_CLOEXEC | os.O_NOFOLLOW


class Io:
    """The system calls. Each raises OSError."""

    def open(self, path: Path, *, writable: bool = True) -> int:
        """Open an existing file."""
        return os.open(path, _COMMON | (os.O_RDWR if writable else os.O_RDONLY))

    def create(self, path: Path) -> int:
        """Create a file that must not exist, readable by its owner only."""
        return os.open(path, _COMMON | os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)

    def close(self, descriptor: int) -> None:
        """Close it."""
        os.close(descriptor)

    def leave(self, descriptor: int) -> None:
        """Close it without waiting for that: a network file system asks its server."""
        self.close(descriptor)

    def read(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        """Read into the buffers from `offset`; returns the count, 0 at the end of the file."""
        return os.preadv(descriptor, buffers, offset)

    def read_from_memory(
        self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int
    ) -> int:
        """As `read`, but without waiting for the disk: only what the kernel has in memory; 0 if nothing."""
        if _NO_WAIT is None:
            return 0
        try:
            return os.preadv(descriptor, buffers, offset, _NO_WAIT)
        except OSError:
            return 0  # not in memory, or a file system that cannot do it: a usual read tells what is wrong

    def read_ahead(self, descriptor: int, offset: int, size: int) -> None:
        """Have the kernel begin to read a range that is needed soon; without effect where it cannot."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_WILLNEED)

    def write(self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        """Write the buffers at `offset`; returns the count, which may be short."""
        return os.pwritev(descriptor, buffers, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Set the size of a file; what is added reads as zeros and takes no room."""
        os.ftruncate(descriptor, size)

    def touch(self, descriptor: int) -> None:
        """Set the times of a file to the time of its file system's server."""
        os.utime(descriptor)

    def status_of(self, descriptor: int) -> os.stat_result:
        """The status of an open file."""
        return os.fstat(descriptor)

    def status(self, path: Path) -> os.stat_result:
        """The status of a file, or of a symbolic link itself."""
        return path.lstat()

    def make_folder(self, path: Path) -> None:
        """Make a folder that only its owner can use."""
        path.mkdir(_PRIVATE_FOLDER)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def link(self, path: Path, name: Path) -> None:
        """Give the file at `path` another name, which must not exist."""
        name.hardlink_to(path)

    def rename(self, path: Path, name: Path) -> None:
        """Rename a file, over another one if there is one."""
        path.rename(name)

    def names(self, path: Path) -> list[str]:
        """The names in a folder."""
        with os.scandir(path) as found:
            return [each.name for each in found]

    def files(self, path: Path | str) -> list[tuple[str, os.stat_result]]:
        """The names in a folder with their status; those that vanish meanwhile are left out."""
        found = []
        with os.scandir(path) as entries:
            for each in entries:
                try:
                    found.append((each.name, each.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue
        return found

    def space(self, path: Path) -> Space:
        """What the file system of `path` has free."""
        found = os.statvfs(path)
        return Space(
            size=found.f_blocks * found.f_frsize,
            free=found.f_bavail * found.f_frsize,
            files=found.f_files,
            free_files=found.f_favail,
        )
