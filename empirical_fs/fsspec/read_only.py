"""A file system of fsspec that refuses every write, as a read-only mount does."""

import errno
import os
from typing import Any, NoReturn

from fsspec.spec import AbstractFileSystem


class ReadOnlyFileSystem(AbstractFileSystem):
    """Raises OSError with EROFS for all that would change it; fsspec's own ignores some of that."""

    def mkdir(self, path: Any, create_parents: bool = True, **_: Any) -> NoReturn:  # noqa: FBT001, FBT002 - as fsspec has it
        """Refuse.

        Raises:
            OSError: always (EROFS).
        """
        refuse(path)

    def makedirs(self, path: Any, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as fsspec has it
        """Refuse, unless it is the root, which is there.

        Raises:
            OSError: EROFS.
        """
        if self._strip_protocol(path) or not exist_ok:
            refuse(path)

    def rmdir(self, path: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(path)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> NoReturn:  # noqa: FBT001, FBT002 - as fsspec has it
        """As `mkdir`."""
        refuse(path)

    def _rm(self, path: Any) -> NoReturn:
        refuse(path)

    def rm_file(self, path: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(path)

    def cp_file(self, path1: Any, path2: Any, **_: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(path2)

    def mv(self, path1: Any, path2: Any, *_: Any, **__: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(path1)

    def put_file(self, lpath: Any, rpath: Any, *_: Any, **__: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(rpath)

    def pipe_file(self, path: Any, value: Any, *_: Any, **__: Any) -> NoReturn:
        """As `mkdir`."""
        refuse(path)

    def touch(self, path: Any, truncate: bool = True, **_: Any) -> NoReturn:  # noqa: FBT001, FBT002 - as fsspec has it
        """As `mkdir`."""
        refuse(path)


def refuse(path: Any) -> NoReturn:
    """Refuse to write.

    Raises:
        OSError: always (EROFS).
    """
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


def check_mode(path: Any, mode: str) -> None:
    """Refuse to open a file other than for reading.

    Raises:
        ValueError: there is no such mode.
        OSError: it is one for writing (EROFS).
    """
    letters = set(mode)
    if len(letters) != len(mode) or not letters <= set("rwaxbt+") or len(letters & set("rwax")) != 1:
        raise ValueError(f"invalid mode: {mode!r}")
    if not letters <= set("rbt"):
        refuse(path)
