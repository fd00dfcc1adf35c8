"""Opens, creates and removes the files of a version."""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.disk_io import STAT_BLOCK, Io
from empirical_fs.cache.files import PAGE, Files, close_all
from empirical_fs.cache.folder import DATA, Folder, Place, random_name
from empirical_fs.cache.keys import Identity
from empirical_fs.cache.record import (
    ENTRY,
    HEADER,
    Note,
    Origin,
    Unusable,
    count_blocks,
    decode_header,
    encode_header,
)
from empirical_fs.cache.verified_files import Stamp

_TRIES = 3
_READ_ONLY = (errno.EROFS, errno.EACCES)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


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
        close_all(io, [each for each in (record, data) if each >= 0])


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
        close_all(io, [record])


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
        close_all(io, opened)


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
    data = [place.folder / each for each in _data_of(io, place)]
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
        freed += Amount(PAGE, 1)
    return freed


def is_data_of(name: str, version: str) -> bool:
    """Whether a file is a data file of the version with that digest."""
    return name.startswith(f"{version}.") and name.endswith(DATA)


def _data_of(io: Io, place: Place) -> list[str]:
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
    return Amount(blocks * STAT_BLOCK, 1)
