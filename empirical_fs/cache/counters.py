"""The files in which each process counts what it has reserved, spent and freed."""

import errno
import os
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from xxhash import xxh3_64_intdigest

from empirical_fs.cache.bounds import Amount, Counter
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import Folder, random_name
from empirical_fs.work.owner import SIZE as OWNER_SIZE
from empirical_fs.work.owner import Owner, decoded

FORGOTTEN_NS = 3600 * 10**9
"""After this time without a change the file of a process may be removed. Nobody uses a scan that is as old,
nor what it reserved that long ago."""

IDLE_SECONDS = 600.0
"""After this time a process does not use what it has reserved without showing it again."""
_OLD_NS = 900 * 10**9

_NUMBERS = struct.Struct("<8Q")
_CHECKSUM = struct.Struct("<Q")
_SIZE = _NUMBERS.size + _CHECKSUM.size
_TRIES = 3


class OwnCounter:
    """The counter of this process. Not thread-safe."""

    def __init__(self, folder: Folder, io: Io) -> None:
        """Create no file yet."""
        self.name = random_name()
        self.value = Counter()
        self._folder = folder
        self._io = io
        self._descriptor: int | None = None
        self._owner = Owner(b"", 0, 0)

    def publish(self, value: Counter) -> bool:
        """Show others the counter; False if its file was removed and a new one begins at 0.

        Raises:
            OSError: the file cannot be written; the counter may be shown or not.
        """
        if self._descriptor is not None and not self._io.status_of(self._descriptor).st_nlink:
            self.close()
            self.name, self.value = random_name(), Counter()
            return False
        if self._descriptor is None:
            self._folder.make()
            self._owner = Owner.this()
            self._descriptor = self._io.create(self._folder.processes / self.name)
        numbers = _NUMBERS.pack(
            value.reserved.bytes,
            value.reserved.files,
            value.spent.bytes,
            value.spent.files,
            value.freed.bytes,
            value.freed.files,
            value.freeing.bytes,
            value.freeing.files,
        )
        encoded = numbers + _CHECKSUM.pack(xxh3_64_intdigest(numbers))
        encoded += self._owner.encoded()
        if self._io.write(self._descriptor, [encoded], 0) < len(encoded):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.value = value
        return True

    def now_ns(self) -> int:
        """The time of the file system's server when the counter was shown last, in ns since the epoch.

        Raises:
            OSError: the file cannot be asked.
        """
        return 0 if self._descriptor is None else self._io.status_of(self._descriptor).st_mtime_ns

    def close(self) -> None:
        """Close the file, which stays, so that others go on counting what was spent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                self._io.close(descriptor)


def read_counters(folder: Folder, io: Io, now_ns: int) -> dict[str, Counter]:
    """The counters of all processes, by their names.

    One that was shown long before `now_ns`, or whose process has ended, has nothing left to spend. What the
    process had reserved by then counts as spent, since it may have been.

    Raises:
        OSError: one of them cannot be read.
    """
    found = {}
    for name, status in io.files(folder.processes):
        path = folder.processes / name
        for _ in range(_TRIES):
            read = _read(io, path)
            if read is not None:
                value, owner = read
                is_over = status.st_mtime_ns < now_ns - _OLD_NS or (owner is not None and owner.has_ended)
                found[name] = replace(value, spent=value.reserved) if is_over else value
                break
        else:
            # Its process has ended with the machine. If not, it notices, and begins another one.
            with suppress(OSError):
                io.unlink(path)
    return found


def remove_forgotten(folder: Folder, io: Io, now_ns: int) -> None:
    """Remove the files of processes that have changed nothing for long.

    Raises:
        OSError: the folder cannot be read.
    """
    for name, status in io.files(folder.processes):
        if status.st_mtime_ns < now_ns - FORGOTTEN_NS:
            with suppress(OSError):
                io.unlink(folder.processes / name)


def _read(io: Io, path: Path) -> tuple[Counter, Owner | None] | None:
    """The counter in a file, and whose it is; None if it is torn."""
    try:
        descriptor = io.open(path, writable=False)
    except FileNotFoundError:
        return Counter(), None
    data = bytearray(_SIZE + OWNER_SIZE)
    try:
        got = io.read(descriptor, [data], 0)
    finally:
        with suppress(OSError):
            io.close(descriptor)
    if not got:
        return Counter(), None  # it is new: nothing is reserved before it is shown
    numbers = bytes(data[: _NUMBERS.size])
    if got < _SIZE or _CHECKSUM.unpack_from(data, _NUMBERS.size)[0] != xxh3_64_intdigest(numbers):
        return None
    values = _NUMBERS.unpack(numbers)
    amounts = (Amount(*values[at : at + 2]) for at in range(0, len(values), 2))
    return Counter(*amounts), decoded(bytes(data[_SIZE:got]))
