"""Keeps the bytes of a part: in memory blocks that are reused, or in an unnamed temporary file."""

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
_VAR_TMP = Path("/var/tmp")  # noqa: S108 - a directory for an unnamed file: there is no name to guess


def spool_place() -> str | None:
    """The directory for temporary files that may be large; None for Python's default."""
    # /tmp is in memory on many machines; TMPDIR, if not empty, says where the user wants such files.
    return str(_VAR_TMP) if not os.environ.get("TMPDIR") and _VAR_TMP.is_dir() else None


def has_room(size: int) -> bool:
    """Whether `size` bytes fit into a temporary file, as far as the file system tells."""
    try:
        space = os.statvfs(spool_place() or tempfile.gettempdir())
    except OSError:
        return True  # the attempt to write there reports what is wrong
    return size <= space.f_bavail * space.f_frsize


class Buffer(Protocol):
    """Storage for a fixed number of bytes. One thread writes; any number of threads read what was kept."""

    def room(self, offset: int) -> memoryview:
        """Memory to write the bytes at `offset` into; never empty before the end."""

    def keep(self, offset: int, count: int) -> None:
        """Keep the `count` bytes that were written into `room(offset)`."""

    def pieces(self, start: int, stop: int) -> list[memoryview]:
        """The bytes from `start` to `stop`, all kept before; writable, since ctypes needs that."""

    def release(self) -> None:
        """Release the storage; the caller neither writes nor reads it any more."""


class Blocks:
    """Memory blocks that are reused: fresh pages from the kernel cost more CPU than all copying.

    As many free blocks are kept as are in use, and a few when none are. Each block is a mapping of its own,
    so that the others go back to the system; in a heap, one small object allocated after a block would keep
    it there. The lock guards the free blocks and the number of those in use.
    """

    def __init__(self) -> None:
        """Hold no memory yet."""
        self._lock = threading.Lock()
        self._free: list[mmap] = []
        self._in_use = 0

    @property
    def free(self) -> int:
        """How many unused blocks are kept."""
        return len(self._free)

    def take(self) -> mmap:
        """Take a block; its content is undefined.

        Raises:
            OSError: there is no memory for it.
        """
        with self._lock:
            block = self._free.pop() if self._free else mmap(-1, BLOCK, flags=MAP_PRIVATE | MAP_ANONYMOUS)
            self._in_use += 1
        return block

    def give(self, blocks: list[mmap]) -> None:
        """Take back blocks that are no longer used; those that are too many go back to the system."""
        with self._lock:
            self._in_use -= len(blocks)
            self._free.extend(blocks)
            del self._free[max(self._in_use, _FREE_MIN) :]


class MemoryBuffer:
    """Bytes in memory, in blocks."""

    def __init__(self, size: int, blocks: Blocks) -> None:
        """Take the memory for `size` bytes from `blocks`; a rest smaller than a block comes from the heap.

        Raises:
            NoMemory: there is not enough; nothing is taken.
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
        """The block of `offset`, from there to its end."""
        number, begin = divmod(offset, BLOCK)
        return memoryview(self._blocks[number])[begin:]

    def keep(self, offset: int, count: int) -> None:
        """Do nothing: `room` is the storage itself."""

    def pieces(self, start: int, stop: int) -> list[memoryview]:
        """The bytes from `start` to `stop`, without a copy."""
        number, begin = divmod(start, BLOCK)
        size = stop - start
        if size <= BLOCK - begin:
            # A usual read of the kernel lies in one block.
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
    """Bytes in an unnamed temporary file, which is deleted with this object.

    For data that may be larger than memory: the whole of a content whose server supports no ranges.
    """

    def __init__(self) -> None:
        """Open the file.

        Raises:
            OSError: the file cannot be created.
        """
        with tempfile.TemporaryFile(dir=spool_place(), buffering=0) as file:
            self._descriptor = os.dup(file.fileno())
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._close.atexit = False  # a thread may still read it then; the system closes it
        self._piece = memoryview(bytearray(_PIECE))

    def room(self, offset: int) -> memoryview:
        """A piece of memory, the same for every offset."""
        return self._piece

    def keep(self, offset: int, count: int) -> None:
        """Write the bytes to the file.

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
            OSError: the disk cannot be read.
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
        """Close the file, which deletes it."""
        self._close()
