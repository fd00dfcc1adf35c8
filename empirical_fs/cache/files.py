"""The open files of a version: reads with verification, and writes."""

import errno
import os
import weakref
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from empirical_fs.cache.block_states import DAMAGED, UNKNOWN, VERIFIED, BlockStates, Shown
from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import Place
from empirical_fs.cache.record import (
    ABSENT,
    BLOCK,
    ENTRY,
    HEADER,
    Note,
    Origin,
    checksum,
    count_blocks,
    decode_entries,
    encode_entries,
    encode_note,
)
from empirical_fs.cache.verified_files import Stamp

PAGE = 4096
"""What a folder and the smallest file take on most disks."""


def room_for_files(size: int) -> Amount:
    """What an object of `size` bytes takes beside its blocks: a folder, a record, a data file.

    With a page for the names in the folder above.
    """
    record = -(-(HEADER + count_blocks(size) * ENTRY) // PAGE)
    return Amount((2 + record) * PAGE, 3)


def room_for_blocks(size: int) -> Amount:
    """What consecutive blocks of `size` bytes take, with a page for where they are on the disk."""
    return Amount(-(-size // PAGE) * PAGE + PAGE)


@dataclass(frozen=True, slots=True)
class Found:
    """What a read has brought."""

    count: int
    damaged: int | None = None
    """The block at which it ended, because that was damaged."""


class Files:
    """The open files of one version. They are closed with the last reference to this object.

    Any number of threads may read; one thread writes.
    """

    def __init__(
        self, io: Io, place: Place, descriptors: tuple[int, int], header: tuple[Origin, Note]
    ) -> None:
        """Take over the descriptors of the record and of the data."""
        self.place = place
        self.origin, self.note = header
        self._record, self.data = descriptors
        # Not a method: a reference to this object would keep its files open until garbage is collected.
        self.blocks = BlockStates(count_blocks(self.origin.size), partial(_shown, io, self.data))
        """What this process knows of each block."""
        self.stamp: Stamp | None = None
        """The stamp that the data file had before any block was verified; None if that is not known."""
        self.since = float("-inf")
        """When they were opened for what is verified, here or in an earlier `Files`; on the store's clock."""
        self._io = io
        self._seed = self.origin.seed
        # Whoever has the last reference may answer the kernel.
        finalizer = weakref.finalize(self, _leave_all, io, descriptors)
        # At the end of the process, something may still be written; the system closes them then.
        finalizer.atexit = False

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self.origin.size

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed the files.

        Raises:
            OSError: the disk does not say.
        """
        try:
            return not all(self._io.status_of(each).st_nlink for each in (self._record, self.data))
        except OSError as error:
            if error.errno != errno.ESTALE:  # what NFS says of a file that another machine has removed
                raise
            return True

    @property
    def is_whole(self) -> bool:
        """Whether the data file ends where the object ends.

        Raises:
            OSError: the disk does not say.
        """
        return self._io.status_of(self.data).st_size == self.size

    def entries(self, first: int, count: int) -> "array[int]":
        """The checksums of blocks; ABSENT also for those that this process knows to be damaged.

        Raises:
            OSError: the record cannot be read.
        """
        raw = bytearray(count * ENTRY)
        got = self._read(self._record, raw, HEADER + first * ENTRY)
        entries = decode_entries(raw[:got], count)
        at = self.blocks.states.find(DAMAGED, first, first + count)
        while at >= 0:
            entries[at - first] = ABSENT
            at = self.blocks.states.find(DAMAGED, at + 1, first + count)
        return entries

    def read_verified(self, start: int, into: memoryview) -> int:
        """Read from `start`, a block that is verified; returns the count of bytes.

        That is 0 if another program has changed the file: then no block is verified any more.

        Raises:
            OSError: the disk cannot be read.
        """
        first = start // BLOCK
        last = count_blocks(start + len(into))
        blocks = self.blocks.run(first, last, VERIFIED)
        wanted = into[: (first + blocks) * BLOCK - start]
        got = self._read(self.data, wanted, start)
        if self.blocks.have_changed():
            return 0
        if got < len(wanted):
            self.blocks.forget(first, first + blocks)  # somebody has cut the file off
        return got

    def read_unverified(self, start: int, into: memoryview, most: int) -> Found:
        """Read up to `most` blocks from the one at `start`, and verify each.

        Raises:
            OSError: the disk cannot be read.
        """
        self.blocks.have_changed()
        shown = self.blocks.shown
        first, stop = start // BLOCK, start + len(into)
        blocks = self.blocks.run(first, min(count_blocks(stop), first + most), UNKNOWN)
        entries = self._run(first, blocks)
        if not entries:
            return Found(0)
        begin, end = first * BLOCK, min((first + len(entries)) * BLOCK, self.size)
        # The block at either end may be wanted in part only, but is verified as a whole.
        head = memoryview(bytearray(start - begin))
        tail = memoryview(bytearray(max(end - stop, 0)))
        middle = into[: min(end, stop) - start]
        got = self._read_all((head, middle, tail), begin)
        for number, entry in enumerate(entries, first):
            reach = min((number + 1) * BLOCK, self.size)
            whole = self._whole(number, reach, (head, middle, tail), begin)
            if reach - begin > got or checksum(whole, self._seed, number) != entry:
                self.blocks.states[number] = DAMAGED
                return Found(max(number * BLOCK - start, 0), number)
            self.blocks.note_verified(number, shown)
        return Found(len(middle))

    def read_ahead(self, start: int, stop: int) -> None:
        """Have the disk begin to read a range, as far as its blocks are there.

        In a hole of the data file, the kernel would fill memory with zeros.

        Raises:
            OSError: the record cannot be read.
        """
        first = start // BLOCK
        run = self._run(first, count_blocks(stop) - first)
        if run:
            self._io.read_ahead(self.data, start, min((first + len(run)) * BLOCK, stop) - start)

    def read_from_memory(self, start: int, into: memoryview) -> bool:
        """Fill `into` from `start`, if all blocks are right and the kernel has them in memory.

        It does not wait for the disk. Blocks that are not verified yet are verified; damage is not noted.
        """
        try:
            return self._read_from_memory(start, into)
        except OSError:
            return False  # a usual read tells what is wrong

    def _read_from_memory(self, start: int, into: memoryview) -> bool:
        """As `read_from_memory`.

        Raises:
            OSError: the disk does not say whether the file has changed.
        """
        first, last = start // BLOCK, count_blocks(start + len(into))
        if self.blocks.states.count(VERIFIED, first, last) == last - first:
            count = self._io.read_from_memory(self.data, [into], start)
            return count == len(into) and not self.blocks.have_changed()
        raw = bytearray((last - first) * ENTRY)
        if self._io.read_from_memory(self._record, [raw], HEADER + first * ENTRY) < len(raw):
            return False
        if self.blocks.shown is None:
            # Where the kernel answers without waiting, it also knows the times of the file.
            self.blocks.have_changed()
        shown = self.blocks.shown
        entries = decode_entries(raw, last - first)
        begin, end = first * BLOCK, min(last * BLOCK, self.size)
        is_whole = len(into) == end - begin
        whole = into if is_whole else memoryview(bytearray(end - begin))
        if ABSENT in entries or self._io.read_from_memory(self.data, [whole], begin) < len(whole):
            return False
        for number, entry in enumerate(entries, first):
            at = number * BLOCK - begin
            if checksum(whole[at : at + BLOCK], self._seed, number) != entry:
                return False
            self.blocks.note_verified(number, shown)
        if not is_whole:
            into[:] = whole[start - begin : start - begin + len(into)]
        return True

    def checksums(self, first: int, blocks: Sequence[bytes | memoryview]) -> list[int]:
        """The checksums of consecutive blocks."""
        return [checksum(block, self._seed, number) for number, block in enumerate(blocks, first)]

    def write_blocks(self, first: int, blocks: Sequence[bytes | memoryview], checksums: list[int]) -> None:
        """Write consecutive blocks, then their checksums.

        Raises:
            OSError: the disk is full, or has failed; the blocks then count as absent or damaged.
        """
        self.blocks.have_changed()
        self._write(self.data, list(blocks), first * BLOCK)
        self.blocks.note_own_change()
        self._write(self._record, [encode_entries(checksums)], HEADER + first * ENTRY)
        for number in range(first, first + len(blocks)):
            if self.blocks.states[number] == DAMAGED:
                self.blocks.states[number] = UNKNOWN

    def drop(self, block: int) -> None:
        """Record that a block is absent.

        Raises:
            OSError: that cannot be written.
        """
        self._write(self._record, [bytes(ENTRY)], HEADER + block * ENTRY)

    def write_note(self, note: Note) -> None:
        """Replace the note.

        Raises:
            OSError: it cannot be written.
            TooLong: it does not fit.
        """
        at, sealed = encode_note(self.origin, note)
        self._write(self._record, [sealed], at)
        self.note = note

    def touch(self) -> None:
        """Record that the version is used now.

        Raises:
            OSError: that cannot be done.
        """
        self._io.touch(self._record)

    def _run(self, first: int, count: int) -> "array[int]":
        """The checksums of blocks up to the first one that is absent."""
        entries = self.entries(first, count)
        with suppress(ValueError):
            return entries[: entries.index(ABSENT)]
        return entries

    def _whole(self, block: int, reach: int, parts: Sequence[memoryview], begin: int) -> memoryview | bytes:
        """One block of what was read from `begin` on into consecutive `parts`."""
        start, pieces = block * BLOCK - begin, []
        stop = reach - begin
        for part in parts:
            piece = part[max(start, 0) : max(stop, 0)]
            if piece:
                pieces.append(piece)
            start, stop = start - len(part), stop - len(part)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read(self, descriptor: int, into: bytearray | memoryview, offset: int) -> int:
        done, view = 0, memoryview(into)
        while done < len(view):
            count = self._io.read(descriptor, [view[done:]], offset + done)
            if not count:
                break
            done += count
        return done

    def _read_all(self, parts: Sequence[memoryview], offset: int) -> int:
        """Fill consecutive parts; returns the count, which is less at the end of the file."""
        size = sum(map(len, parts))
        done = self._io.read(self.data, [part for part in parts if part], offset)
        while 0 < done < size:
            skip, rest = done, []
            for part in parts:
                if skip < len(part):
                    rest.append(part[skip:])
                skip = max(skip - len(part), 0)
            count = self._io.read(self.data, rest, offset + done)
            if not count:
                break
            done += count
        return done

    def _write(self, descriptor: int, buffers: list[bytes | memoryview], offset: int) -> None:
        size = sum(map(len, buffers))
        done = self._io.write(descriptor, buffers, offset)
        while done < size:
            # A short write comes before an error, for example of a full disk.
            count = self._io.write(descriptor, [memoryview(b"".join(buffers))[done:]], offset + done)
            if not count:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            done += count


def _shown(io: Io, data: int) -> Shown:
    return Shown.of(io.status_of(data))


def _leave_all(io: Io, descriptors: Sequence[int]) -> None:
    for each in descriptors:
        with suppress(OSError):
            io.leave(each)


def close_all(io: Io, descriptors: Sequence[int]) -> None:
    """Close files, whatever the disk says to that."""
    for each in descriptors:
        with suppress(OSError):
            io.close(each)
