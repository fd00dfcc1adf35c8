"""One open file of fsspec's kind."""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import IOBase
from typing import TYPE_CHECKING, Any

from fsspec.core import caches
from fsspec.spec import AbstractBufferedFile

from empirical_fs.engine.open_file import OpenFile
from empirical_fs.errors import NoThread
from empirical_fs.fsspec.entries import info
from empirical_fs.fsspec.window import Window
from empirical_fs.work.threads import Worker

if TYPE_CHECKING:
    from empirical_fs.fsspec.file_system import EmpiricalFileSystem

_LINE_BYTES = 8 * 2**10
_NEW_VERSIONS = 2
"""How many new versions an open file may go on with: the listing may lag behind the store by one."""


class EmpiricalFile(AbstractBufferedFile):
    """One open file. It is opened again in another process: there, what is read is still the same version."""

    cache: Any

    def __init__(  # noqa: PLR0913 - as fsspec has it
        self,
        fs: "EmpiricalFileSystem",
        path: str,
        block_size: int | None = None,
        *,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        version: str | None = None,
        **_: Any,
    ) -> None:
        """Open the file.

        Args:
            fs: the file system.
            path: the name of the file.
            block_size: the bytes of a block of fsspec's caches.
            cache_type: one of fsspec's caches; without one, files are read ahead as in a mount.
            cache_options: options of that cache.
            version: the version that is to be opened; None for the current one.

        Raises:
            OSError: it cannot be opened.
        """
        self._closed = True  # if this fails, there is nothing to close
        self._cache_options = cache_options
        self._is_fixed = False
        """Whether the program has seen something of this version: bytes, or the size."""
        source, entry = fs.opened(path, version)
        self._source: tuple[int, OpenFile] | None = os.getpid(), source
        self.version = source.version
        """As `EmpiricalFileSystem.ukey`."""
        super().__init__(
            fs,
            path,
            "rb",
            block_size,
            cache_type=cache_type or Window.name,
            cache_options=cache_options,
            size=source.size,
        )
        self.details = info(entry)
        self._is_fixed = version is not None

    @property
    def size(self) -> int:
        """The size in bytes; whoever has seen it reads this version only."""
        self._is_fixed = True
        return self._size

    @size.setter
    def size(self, size: int) -> None:
        self._size = size

    @property
    def details(self) -> Any:
        """What `EmpiricalFileSystem.info` told when the file was opened, with the size."""
        self._is_fixed = True
        return self._details

    @details.setter
    def details(self, details: dict[str, Any]) -> None:
        self._details = details

    def read(self, length: int | None = -1) -> bytes:
        """The next `length` bytes, or all that are left.

        The listing may have been behind when the file was opened. If it turns out to be another version, of
        which the program has seen nothing, this becomes the new one.

        Raises:
            OSError: they cannot be read; ESTALE if the version is over.
        """
        was_fixed = self._is_fixed
        for _ in range(_NEW_VERSIONS):
            try:
                return self._read(length)
            except OSError as error:
                if was_fixed or error.errno != errno.ESTALE:
                    raise
                self._become_current()
        return self._read(length)

    def _read(self, length: int | None) -> bytes:
        data: bytes = super().read(length)
        self._is_fixed = True
        return data

    def _become_current(self) -> None:
        """Open the current version in place of this one."""
        old, (source, entry) = self._take_source(), self.fs.opened(self.path)
        self._source = os.getpid(), source
        self.version, self.size, self.details = source.version, source.size, info(entry)
        self.cache = caches[self.cache.name](
            self.blocksize, self._fetch_range, source.size, **self._cache_options or {}
        )
        if old is not None:
            old.close()

    def _fetch_range(self, start: int, end: int) -> bytes:
        with self.fs.translated(self.path):
            source = self._opened()
            data = source.read(start, end)
            self.version = source.version
            return data

    def _opened(self) -> OpenFile:
        """The open file of this process."""
        if self._source is None:
            raise ValueError("I/O operation on closed file.")
        pid, source = self._source
        if pid != os.getpid():
            # This process was forked, and the threads that served the file are those of its parent.
            source, _ = self.fs.opened(self.path, self.version)
            self._source = os.getpid(), source
        return source

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """The bytes up to the next `char`, with it."""
        if blocks is None and isinstance(self.cache, Window):
            kept = self.cache.until(self.loc, char)
            if kept is not None:
                self.loc += len(kept)
                return kept
            blocks = _LINE_BYTES
        found: bytes = super().readuntil(char, blocks)
        return found

    def readline(self, size: int | None = -1) -> bytes:
        """The bytes up to the next line feed, with it, but at most `size`."""
        if size is None or size < 0:
            return self.readuntil()
        found = list[bytes]()
        while size > 0 and (part := self.read(min(size, _LINE_BYTES))):
            end = part.find(b"\n") + 1
            if end:
                self.seek(end - len(part), os.SEEK_CUR)
                found.append(part[:end])
                break
            found.append(part)
            size -= len(part)
        return b"".join(found)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """The lines that are left, with their line feeds; about `hint` bytes of them if positive."""
        if hint is not None and hint > 0:
            return IOBase.readlines(self, hint)
        *lines, last = self.read().split(b"\n")
        return [*(line + b"\n" for line in lines), *([last] if last else [])]

    def close(self) -> None:
        """Close the file."""
        super().close()
        mine = self._take_source()
        if mine is not None:
            mine.close()

    def _take_source(self) -> OpenFile | None:
        """The open file that is to be closed, once; none once its threads are gone."""
        taken: tuple[int, OpenFile] | None = getattr(self, "_source", None)
        self._source = None
        if taken is None or taken[0] != os.getpid() or sys.is_finalizing():
            return None
        return taken[1]

    def __del__(self) -> None:
        """Close the file by another thread: the garbage collector may run under any of our locks."""
        self._closed = True
        mine = self._take_source()
        if mine is not None:
            with suppress(NoThread):
                Worker(mine.close)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What opens it in another process."""
        name = None if self.cache is None else self.cache.name
        parts = (self.fs, self.path, self.blocksize, name, self._cache_options, self.version, self.loc)
        return _open_again, parts


def _open_again(  # noqa: PLR0913, PLR0917 - all that an open file is
    fs: "EmpiricalFileSystem",
    path: str,
    block_size: int,
    cache_type: str | None,
    cache_options: dict[str, Any] | None,
    version: str,
    loc: int,
) -> EmpiricalFile:
    file = EmpiricalFile(
        fs, path, block_size, cache_type=cache_type, cache_options=cache_options, version=version
    )
    file.seek(loc)
    return file
