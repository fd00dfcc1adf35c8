"""Where the bytes of a part are kept: in memory, or in a file without a name."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import Protocol

_VAR_TMP = Path("/var/tmp")  # noqa: S108 - a directory for a nameless file, not a name that others could guess


class Buffer(Protocol):
    """A place for a fixed number of bytes. One thread writes; any number read what was written before."""

    def write(self, offset: int, chunk: bytes) -> None:
        """Keep `chunk` at `offset`."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, which were written before."""


class MemoryBuffer:
    """Bytes in memory."""

    def __init__(self, size: int) -> None:
        """Take the memory."""
        self._bytes = bytearray(size)

    def write(self, offset: int, chunk: bytes) -> None:
        """Keep `chunk` at `offset`."""
        self._bytes[offset : offset + len(chunk)] = chunk

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        return bytes(memoryview(self._bytes)[start:stop])


class FileBuffer:
    """Bytes in a temporary file that has no name and goes with this object.

    For what may be larger than memory: the whole of a content whose server knows no ranges.
    """

    def __init__(self) -> None:
        """Open the file.

        Raises:
            OSError: there is no place for it.
        """
        # /tmp is memory on many machines; TMPDIR says where the user wants such files.
        place = _VAR_TMP if "TMPDIR" not in os.environ and _VAR_TMP.is_dir() else None
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        # Readers may still be at it when the content is closed: the file goes with the last of them.
        weakref.finalize(self, os.close, self._descriptor)

    def write(self, offset: int, chunk: bytes) -> None:
        """Keep `chunk` at `offset`.

        Raises:
            OSError: the disk is full.
        """
        view = memoryview(chunk)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset, view = offset + written, view[written:]

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        return os.pread(self._descriptor, stop - start, start)
