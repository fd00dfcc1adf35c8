"""The directory to mount on, held from its check on: who may write above it can put no other in its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from empirical_fs import macos
from empirical_fs.errors import SetupError
from empirical_fs.mount import mount_table

_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
_DESCRIPTORS = Path("/proc/self/fd")


class HeldDirectory:
    """A directory that stays the same one, whatever becomes of its path."""

    def __init__(self, path: Path) -> None:
        """Hold what is at `path`, which is absolute and has no symbolic links in it.

        Raises:
            SetupError: there is no such directory, or it is reached by way of a symbolic link after all.
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
        """The directory, which is let go of at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self.release()

    def check(self) -> None:
        """See that it is where it was.

        Raises:
            SetupError: it was moved or deleted, or the path leads elsewhere.
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
        """Be in the directory; the name that it has there, which nobody can have lead elsewhere.

        Libfuse hands it to mount(2), or to fusermount, which does its own looking for users.

        Raises:
            SetupError: as `check`.
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
        """See that our mount is at the path now; take it away if it is not.

        Raises:
            SetupError: it is not.
        """
        try:
            self.check()
            mount = mount_table.mount_at(self.path)
            if mount is None or not mount.is_ours:
                what = f"the mount has not come to {self.path}"
                raise SetupError(what, advice="somebody has changed what is there")
        except SetupError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Take away the mount that was made on it and that nobody serves, wherever it is by now.

        Raises:
            SetupError: it could not be taken away.
        """
        place = self.path if self._descriptor is None else self._place(self._descriptor)
        mount = mount_table.mount_at(place)
        if mount is not None and mount.is_ours:
            mount_table.unmount(place, lazy=True)

    def release(self) -> None:
        """Let go of it: a directory that is held keeps the file system that it is on busy."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _place(self, descriptor: int) -> Path:
        """Where it is now, in the kernel's words."""
        if macos.IS_MACOS:
            return self.path
        try:
            return (_DESCRIPTORS / str(descriptor)).readlink()
        except OSError as error:
            what = f"{_DESCRIPTORS} cannot be read: {error.strerror}"
            raise SetupError(what, advice="mount /proc") from error
