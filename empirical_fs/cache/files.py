"""The two files of a version: opening, creating, reading with verification, writing, removing."""

import errno
import os
import time
import weakref
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import DATA, Folder, Place, random_name
from empirical_fs.cache.keys import Identity
from empirical_fs.cache.record import (
    ABSENT,
    BLOCK,
    ENTRY,
    HEADER,
    Note,
    Origin,
    Unusable,
    checksum,
    count_blocks,
    decode_entries,
    decode_header,
    encode_entries,
    encode_header,
    encode_note,
)

_STAT_BLOCK = 512
"""The unit of st_blocks, whatever the file system's."""
_PAGE = 4096
UNKNOWN, VERIFIED, DAMAGED = 0, 1, 2
"""What this process knows of a block."""
SAME_MOMENT = 1.0
"""Seconds within which two changes of a file may leave it with the same time."""
_TRIES = 3
_READ_ONLY = (errno.EROFS, errno.EACCES)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def room_for_files(size: int) -> Amount:
    """What an object of `size` bytes takes beside its blocks: a folder, a record, a data file."""
    entries = -(-count_blocks(size) * ENTRY // _PAGE)
    return Amount((4 + entries) * _PAGE, 3)


def room_for_blocks(count: int) -> Amount:
    """What consecutive blocks take, with a page in which the file system notes where they are."""
    return Amount(count * BLOCK + _PAGE)


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a data file shows that nobody has changed it."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result, now: float) -> "Stamp | None":
        """The stamp of a file with this status; None if it changed just now (`now` in s since the epoch)."""
        if now - max(found.st_mtime, found.st_ctime) < SAME_MOMENT:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Found:
    """What a read has brought."""

    count: int
    damaged: int | None = None
    """The block at which it ended, because that was damaged."""


class Files:
    """The open files of one version. They are closed with the last reference to this object.

    Any number of threads may read; one thread writes. An element of `state` is set by one operation.
    """

    def __init__(
        self, io: Io, place: Place, descriptors: tuple[int, int], header: tuple[Origin, Note]
    ) -> None:
        """Take over the descriptors of the record and of the data."""
        self.place = place
        self.origin, self.note = header
        self._record, self.data = descriptors
        self.state = bytearray(count_blocks(self.origin.size))
        """For each block what this process knows of it: UNKNOWN, VERIFIED or DAMAGED."""
        self.stamp: Stamp | None = None
        """The stamp that the data file had before any block was verified; None if that is not known."""
        self._io = io
        self._seed = self.origin.seed
        weakref.finalize(self, _close, io, descriptors)

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
    def is_verified(self) -> bool:
        """Whether this process has verified every block."""
        return self.state.count(VERIFIED) == len(self.state)

    @property
    def first_unverified(self) -> int:
        """The first block that this process has not verified; the count of blocks if there is none."""
        return len(self.state) - len(self.state.lstrip(bytes((VERIFIED,))))

    @property
    def is_whole(self) -> bool:
        """Whether the data file ends where the object ends.

        Raises:
            OSError: the disk does not say.
        """
        return self._io.status_of(self.data).st_size == self.size

    def take_for_verified(self) -> None:
        """Note that this process has verified every block earlier, and that nothing has changed since."""
        self.state[:] = bytes((VERIFIED,)) * len(self.state)

    def entries(self, first: int, count: int) -> "array[int]":
        """The checksums of blocks; ABSENT also for those that this process knows to be damaged.

        Raises:
            OSError: the record cannot be read.
        """
        raw = bytearray(count * ENTRY)
        got = self._read(self._record, raw, HEADER + first * ENTRY)
        entries = decode_entries(raw[:got], count)
        at = self.state.find(DAMAGED, first, first + count)
        while at >= 0:
            entries[at - first] = ABSENT
            at = self.state.find(DAMAGED, at + 1, first + count)
        return entries

    def read_verified(self, start: int, into: memoryview) -> int:
        """Read from `start`, a block that is verified; returns the count of bytes.

        Raises:
            OSError: the disk cannot be read.
        """
        first = start // BLOCK
        last = count_blocks(start + len(into))
        known = self.state[first:last]
        blocks = len(known) - len(known.lstrip(bytes((VERIFIED,))))
        wanted = into[: (first + blocks) * BLOCK - start]
        got = self._read(self.data, wanted, start)
        if got < len(wanted):
            self._forget(first, blocks)  # somebody has cut the file off
        return got

    def read_unverified(self, start: int, into: memoryview, most: int) -> Found:
        """Read up to `most` blocks from the one at `start`, and verify each.

        Raises:
            OSError: the disk cannot be read.
        """
        first, stop = start // BLOCK, start + len(into)
        known = self.state[first : min(count_blocks(stop), first + most)]
        blocks = len(known) - len(known.lstrip(bytes((UNKNOWN,))))
        entries = self.entries(first, blocks)
        with suppress(ValueError):
            entries = entries[: entries.index(ABSENT)]
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
                self.state[number] = DAMAGED
                return Found(max(number * BLOCK - start, 0), number)
            self.state[number] = VERIFIED
        return Found(len(middle))

    def checksums(self, first: int, blocks: Sequence[bytes | memoryview]) -> list[int]:
        """The checksums of consecutive blocks."""
        return [checksum(block, self._seed, number) for number, block in enumerate(blocks, first)]

    def has(self, first: int, checksums: list[int]) -> bool:
        """Whether consecutive blocks with these checksums are there already, from another process.

        Raises:
            OSError: the record cannot be read.
        """
        return self.entries(first, len(checksums)).tolist() == checksums

    def write_blocks(self, first: int, blocks: Sequence[bytes | memoryview], checksums: list[int]) -> None:
        """Write consecutive blocks, then their checksums.

        Raises:
            OSError: the disk is full, or has failed; the blocks then count as absent or damaged.
        """
        self._write(self.data, list(blocks), first * BLOCK)
        self._write(self._record, [encode_entries(checksums)], HEADER + first * ENTRY)
        for number in range(first, first + len(blocks)):
            if self.state[number] == DAMAGED:
                self.state[number] = UNKNOWN

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

    def _forget(self, first: int, blocks: int) -> None:
        self.state[first : first + blocks] = bytes(blocks)

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


def _close(io: Io, descriptors: Sequence[int]) -> None:
    for each in descriptors:
        with suppress(OSError):
            io.close(each)


def open_files(io: Io, place: Place) -> Files | Unusable | None:
    """Open the files of a version; None if there are none.

    Raises:
        OSError: the disk does not say.
    """
    try:
        record = _open(io, place.record)
    except FileNotFoundError:
        return None
    data = -1
    try:
        decoded = _header(io, place, record)
        if isinstance(decoded, Unusable):
            return decoded
        try:
            data = _open(io, place.data(decoded[0].nonce))
        except FileNotFoundError:
            # Who evicts removes the record first.
            return Unusable.DAMAGED if io.status_of(record).st_nlink else None
        stamp = Stamp.of(io.status_of(data), time.time())
        files = Files(io, place, (record, data), decoded)
        files.stamp = stamp
        record = data = -1
        return files
    finally:
        _close(io, [each for each in (record, data) if each >= 0])


def read_header(io: Io, place: Place) -> tuple[Origin, Note] | Unusable | None:
    """What the record of a version says of it; None if there is no record.

    Raises:
        OSError: the disk does not say.
    """
    try:
        record = io.open(place.record, writable=False)
    except FileNotFoundError:
        return None
    try:
        return _header(io, place, record)
    finally:
        _close(io, [record])


def _header(io: Io, place: Place, record: int) -> tuple[Origin, Note] | Unusable:
    header = bytearray(HEADER)
    got = io.read(record, [header], 0)
    return decode_header(bytes(header[:got]), place.resource, place.version)


def _open(io: Io, path: Path) -> int:
    try:
        return io.open(path)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        return io.open(path, writable=False)


def create_files(io: Io, folder: Folder, place: Place, identity: Identity, note: Note) -> Files | None:
    """Create the files of a version; None if another process was faster.

    Raises:
        OSError: that cannot be done; nothing is left, as far as the disk allows.
        TooLong: the validators do not fit into a record.
    """
    origin = Origin(place.resource, identity.size, identity.etag, identity.updated_ns, random_name())
    header = encode_header(origin, note)
    data_path, new = place.data(origin.nonce), place.new()
    data = record = -1
    is_made = False
    try:
        data = _create(io, folder, place, data_path)
        io.truncate(data, identity.size)
        record = io.create(new)
        if io.write(record, [header], 0) < len(header):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        io.truncate(record, HEADER + count_blocks(identity.size) * ENTRY)
        is_made = _publish(io, new, place)
        if not is_made:
            return None
        files = Files(io, place, (record, data), (origin, note))
        record = data = -1
        return files
    finally:
        opened = [each for each in (record, data) if each >= 0]
        with suppress(OSError):
            io.unlink(new)
        if not is_made:
            with suppress(OSError):
                io.unlink(data_path)
        _close(io, opened)


def _create(io: Io, folder: Folder, place: Place, path: Path) -> int:
    for _ in range(_TRIES):
        try:
            return io.create(path)
        except FileNotFoundError:
            # The folder is new, or an eviction in another process has just removed it.
            folder.make_for(place)
    return io.create(path)


def _publish(io: Io, new: Path, place: Place) -> bool:
    """Give a new record its name, unless there is one of that name."""
    try:
        io.link(new, place.record)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Then one of two processes loses its record, and finds that it is gone.
        io.rename(new, place.record)
    return True


def remove_files(io: Io, place: Place, *, with_pin: bool = False) -> Amount:
    """Remove a version; who has it open can go on reading. Returns what that frees.

    Raises:
        OSError: that cannot be done.
    """
    data = [place.folder / each for each in _names_of(io, place)]
    with suppress(OSError):
        found = read_header(io, place)
        if found is Unusable.UNKNOWN_FORMAT:
            return Amount()
        if isinstance(found, tuple):
            # Another data file may belong to a process that is making a record now.
            data = [place.data(found[0].nonce)]
    freed = _remove(io, place.record)
    for each in data:
        freed += _remove(io, each)
    if with_pin:
        freed += _remove(io, place.pin)
    with suppress(OSError):
        io.remove_folder(place.folder)
        freed += Amount(_PAGE, 1)
    return freed


def is_data_of(name: str, version: str) -> bool:
    """Whether a file is a data file of the version with that digest."""
    return name.startswith(f"{version}.") and name.endswith(DATA)


def _names_of(io: Io, place: Place) -> list[str]:
    with suppress(OSError):
        return [each for each in io.names(place.folder) if is_data_of(each, place.version)]
    return []


def _remove(io: Io, path: Path) -> Amount:
    """Remove a file; what that frees counts only for the process that removed it."""
    try:
        blocks = io.status(path).st_blocks
        io.unlink(path)
    except FileNotFoundError:
        return Amount()
    return Amount(blocks * _STAT_BLOCK, 1)
