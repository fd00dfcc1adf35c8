"""Holds the directory to mount on from its check until it is mounted.

Otherwise a user who may write to a directory above it could put another directory in its place meanwhile.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from empirical_fs import macos
from empirical_fs.errors import SetupError
from empirical_fs.mount import fusermount, mount_table

_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_DESCRIPTORS = Path("/proc/self/fd")


class HeldDirectory:
    """A directory held by a descriptor, which stays the same directory even if its path is changed."""

    def __init__(self, path: Path) -> None:
        """Open the directory at `path`, which must be absolute and without symbolic links.

        Raises:
            SetupError: there is no such directory, or a symbolic link leads to it after all.
        """
        self.path = path
        try:
            self._descriptor: int | None = os.open(path, _FLAGS)
        except OSError as error:
            raise SetupError(f"cannot use {path}: {error.strerror}") from error
        try:
            self.check()
        except SetupError:
            self.release()
            raise

    def __enter__(self) -> Self:
        """The directory, which `__exit__` releases."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the directory."""
        self.release()

    def check(self) -> None:
        """Check that the directory is still at `path`.

        Raises:
            SetupError: it was moved or deleted, or the path leads to another directory.
        """
        if macos.IS_MACOS or self._descriptor is None:
            return
        found = self._place(self._descriptor)
        if found != self.path:
            raise SetupError(
                f"what was {self.path} is {found} now: somebody moves directories about there",
                advice="choose a mount point in a folder that only you can write to",
            )

    @contextmanager
    def entered(self) -> Iterator[str]:
        """Make the directory the working directory, and yield the path to mount on.

        On Linux that path is `.`, which nobody can redirect. Libfuse passes it to mount(2), or to fusermount,
        which resolves it itself and checks the user's rights.

        Raises:
            SetupError: as for `check`.
        """
        self.check()
        if macos.IS_MACOS or self._descriptor is None:
            yield str(self.path)
            return
        before = os.open(".", _FLAGS)
        try:
            os.fchdir(self._descriptor)
            try:
                yield "."
            finally:
                os.fchdir(before)
        finally:
            os.close(before)

    def check_mounted(self) -> None:
        """Check that our mount is at `path` now; if it is elsewhere, unmount it.

        Raises:
            SetupError: it is not at `path`.
        """
        try:
            self.check()
            mount = mount_table.mount_at(self.path)
            if mount is None or not mount.is_ours:
                what = f"the mount did not appear at {self.path}"
                raise SetupError(what, advice="another process has changed what is there")
        except SetupError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Unmount our mount on this directory, which no process serves, wherever the directory is now.

        Raises:
            SetupError: it could not be unmounted.
        """
        place = self.path if self._descriptor is None else self._place(self._descriptor)
        mount = mount_table.mount_at(place)
        if mount is not None and mount.is_ours:
            fusermount.unmount(place, lazy=True)

    def release(self) -> None:
        """Close the descriptor: while it is open, the file system of the directory is busy."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _place(self, descriptor: int) -> Path:
        """The path of the directory now, as the kernel reports it (`/proc/self/fd`)."""
        if macos.IS_MACOS:
            return self.path
        try:
            return (_DESCRIPTORS / str(descriptor)).readlink()
        except OSError as error:
            what = f"{_DESCRIPTORS} cannot be read: {error.strerror}"
            raise SetupError(what, advice="mount /proc") from error
