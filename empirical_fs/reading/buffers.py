"""Where the bytes of a part are kept: in memory that is used again, or in a file without a name."""

import errno
import os
import tempfile
import threading
import weakref
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from typing import Protocol

from empirical_fs.errors import NoMemory

BLOCK = 512 * 2**10
"""Bytes in a block of memory."""

_FREE_MIN = 64
_PIECE = 256 * 2**10
_VAR_TMP = Path("/var/tmp")  # noqa: S108 - a directory for a nameless file, not a name that others could guess


def spool_place() -> str | None:
    """The directory for temporary files that may be large; None for the system's choice."""
    # /tmp is memory on many machines; TMPDIR, unless it is empty, says where the user wants such files.
    return str(_VAR_TMP) if not os.environ.get("TMPDIR") and _VAR_TMP.is_dir() else None


def has_room(size: int) -> bool:
    """Whether so many bytes fit into a temporary file, as far as the file system tells."""
    try:
        space = os.statvfs(spool_place() or tempfile.gettempdir())
    except OSError:
        return True  # whoever writes there finds what is wrong
    return size <= space.f_bavail * space.f_frsize


class Buffer(Protocol):
    """A place for a fixed number of bytes. One thread writes; any number read what was written before."""

    def room(self, offset: int) -> memoryview:
        """A place for bytes that belong at `offset`; never empty before the end."""

    def keep(self, offset: int, count: int) -> None:
        """Keep the `count` bytes that were put into the room for `offset`."""

    def pieces(self, start: int, stop: int) -> list[memoryview]:
        """Where the bytes from `start` to `stop` lie, which were kept before; writable, for ctypes."""

    def release(self) -> None:
        """Give the place back; it is neither written nor read any more."""


class Blocks:
    """Memory that is used again: fresh pages from the kernel cost more than all copies.

    As much is kept free as is in use, and a little when nothing is. Each block is a mapping of its own, so
    that the rest goes back to the system; in a heap, one small object behind it would keep it. The lock
    guards the free blocks and the number of the others.
    """

    def __init__(self) -> None:
        """Hold no memory yet."""
        self._lock = threading.Lock()
        self._free: list[mmap] = []
        self._in_use = 0

    @property
    def free(self) -> int:
        """How many blocks are kept for those who will want some."""
        return len(self._free)

    def take(self) -> mmap:
        """A block with anything in it.

        Raises:
            OSError: there is no memory for it.
        """
        with self._lock:
            block = self._free.pop() if self._free else mmap(-1, BLOCK, flags=MAP_PRIVATE | MAP_ANONYMOUS)
            self._in_use += 1
        return block

    def give(self, blocks: list[mmap]) -> None:
        """Take back blocks that nobody will touch again; the system gets those that are too many."""
        with self._lock:
            self._in_use -= len(blocks)
            self._free.extend(blocks)
            del self._free[max(self._in_use, _FREE_MIN) :]


class MemoryBuffer:
    """Bytes in memory, in blocks."""

    def __init__(self, size: int, blocks: Blocks) -> None:
        """Take the memory for `size` bytes from `blocks`; a rest that fills no block, from the system.

        Raises:
            NoMemory: there is none; nothing is taken.
        """
        whole, rest = divmod(size, BLOCK)
        self._source = blocks
        self._taken: list[mmap] = []
        try:
            for _ in range(whole):
                self._taken.append(blocks.take())
            self._blocks: list[mmap | bytearray] = [*self._taken]
            if rest:
                self._blocks.append(bytearray(rest))
        except (OSError, MemoryError) as error:
            self.release()
            raise NoMemory from error

    def room(self, offset: int) -> memoryview:
        """What is left of the block for `offset`."""
        number, begin = divmod(offset, BLOCK)
        return memoryview(self._blocks[number])[begin:]

    def keep(self, offset: int, count: int) -> None:
        """Nothing to do: the room is where they stay."""

    def pieces(self, start: int, stop: int) -> list[memoryview]:
        """Where the bytes from `start` to `stop` lie."""
        number, begin = divmod(start, BLOCK)
        size = stop - start
        if size <= BLOCK - begin:
            # A read as the kernel makes them lies in one block.
            return [memoryview(self._blocks[number])[begin : begin + size]]
        found = []
        while size:
            piece = memoryview(self._blocks[number])[begin : begin + size]
            found.append(piece)
            size, number, begin = size - len(piece), number + 1, 0
        return found

    def release(self) -> None:
        """Give the memory back."""
        self._source.give(self._taken)
        self._taken, self._blocks = [], []


class FileBuffer:
    """Bytes in a temporary file that has no name and goes with this object.

    For what may be larger than memory: the whole of a content whose server knows no ranges.
    """

    def __init__(self) -> None:
        """Open the file.

        Raises:
            OSError: there is no place for it.
        """
        with tempfile.TemporaryFile(dir=spool_place(), buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._piece = memoryview(bytearray(_PIECE))

    def room(self, offset: int) -> memoryview:
        """A piece of memory, the same for every offset."""
        return self._piece

    def keep(self, offset: int, count: int) -> None:
        """Write them to the file.

        Raises:
            OSError: the disk is full.
        """
        view = self._piece[:count]
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset, view = offset + written, view[written:]

    def pieces(self, start: int, stop: int) -> list[memoryview]:
        """The bytes from `start` to `stop`, read from the file.

        Raises:
            OSError: the disk does not give them.
        """
        found = memoryview(bytearray(stop - start))
        done = 0
        while done < len(found):
            count = os.preadv(self._descriptor, [found[done:]], start + done)
            if not count:
                raise OSError(errno.EIO, "the temporary file is shorter than what was written to it")
            done += count
        return [found]

    def release(self) -> None:
        """Close the file, which is gone with that."""
        self._close()
