"""A folder on a FUSE file system, which hangs while its process is stopped, as NFS does without its server.

Run as: hanging_disk.py FOLDER MOUNTPOINT
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.harness import run, wait_until

_TIMES = ("st_atime", "st_ctime", "st_mtime")
_REST = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_blocks")
_SPACE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")


# ruff: noqa: PTH102, PTH104, PTH106, PTH108, PTH101, PTH208


class HangingDisk:
    """The disk; `path` is its folder."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes]) -> None:
        self.path = path
        self._process = process

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def hanging_disk(folder: Path) -> Iterator[HangingDisk]:
    """A disk below `folder`."""
    behind, path = folder / "behind", folder / "disk"
    behind.mkdir(mode=0o700, parents=True)
    path.mkdir()
    process = subprocess.Popen([sys.executable, "-m", "tests.support.hanging_disk", behind, path])
    disk = HangingDisk(path, process)
    try:
        wait_until(lambda: os.path.ismount(path), "the hanging disk")
        yield disk
    finally:
        disk.go_on()
        run("fusermount", "-u", "-z", path, check=False)
        disk.end()


def main(folder: str, place: str) -> None:
    import fuse  # noqa: PLC0415 - it loads libfuse, which tests choose by themselves

    class Loopback(fuse.Operations):  # type: ignore[misc, name-defined, unused-ignore]
        """Does everything below `folder`."""

        def _at(self, path: str) -> str:
            return folder + path

        def getattr(self, path: str, fh: int | None = None) -> dict[str, float]:
            found = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
            return {name: getattr(found, name) for name in (*_TIMES, *_REST)}

        def readdir(self, path: str, _fh: int) -> list[str]:
            return [".", "..", *os.listdir(self._at(path))]

        def mkdir(self, path: str, mode: int) -> None:
            os.mkdir(self._at(path), mode)

        def rmdir(self, path: str) -> None:
            os.rmdir(self._at(path))

        def unlink(self, path: str) -> None:
            os.unlink(self._at(path))

        def rename(self, old: str, new: str) -> None:
            os.rename(self._at(old), self._at(new))

        def link(self, target: str, source: str) -> None:
            os.link(self._at(source), self._at(target))

        def chmod(self, path: str, mode: int) -> None:
            os.chmod(self._at(path), mode)

        def utimens(self, path: str, times: tuple[float, float] | None = None) -> None:
            os.utime(self._at(path), times)

        def open(self, path: str, flags: int) -> int:
            return os.open(self._at(path), flags & ~os.O_NOFOLLOW)

        def create(self, path: str, mode: int, _fi: object = None) -> int:
            return os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)

        def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, _fh: int | None = None) -> None:
            os.truncate(self._at(path), length)

        def release(self, _path: str, fh: int) -> None:
            os.close(fh)

        def fsync(self, _path: str, _datasync: int, fh: int) -> None:
            os.fsync(fh)

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(self._at(path))
            return {name: getattr(found, name) for name in _SPACE}

    fuse.FUSE(Loopback(), place, foreground=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
