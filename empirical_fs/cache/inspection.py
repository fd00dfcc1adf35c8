"""Lists, checks and removes what is on disk, for commands; with or without a mount."""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.files import Files
from empirical_fs.cache.folder import PIN, RECORD, Folder, Place
from empirical_fs.cache.gate import StuckDisk
from empirical_fs.cache.keys import Identity, Listed
from empirical_fs.cache.record import ABSENT, BLOCK, Unusable, block_size, count_blocks
from empirical_fs.cache.scan import resource_folders
from empirical_fs.cache.version_files import open_files, remove_files

_AT_ONCE = 16
_EVICTED = (errno.ENOENT, errno.ESTALE)
"""ESTALE is what NFS says of a file that another machine has removed."""
_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that is on disk."""

    resource: str
    """The digest of the resource's key."""
    version: str
    """The digest of the identity."""
    identity: Identity
    listed: Listed | None
    """How the listing described it last."""
    validators: dict[str, str | None]
    cached_bytes: int
    """Bytes of the object that are there."""
    is_pinned: bool
    last_used: float
    """In seconds since the epoch; to 20 seconds."""

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self.identity.size

    @property
    def percent(self) -> int:
        """How much is there, rounded down."""
        return self.cached_bytes * 100 // self.size if self.size else 100


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check has found."""

    good: int
    """Blocks that match their checksums."""
    damaged: int
    """Blocks that do not, or cannot be read; they now count as absent."""


def entries(
    folder: Folder,
    io: Io,
    resources: Iterable[str] | None = None,
    on_unreadable: Callable[[Place], object] = lambda _: None,
) -> Iterator[Entry]:
    """All versions on disk that this release can read, or those of some resources (digests).

    `on_unreadable` is called for each version whose record is damaged or cannot be read.

    Raises:
        OSError: the folder cannot be read.
    """
    if resources is None:
        found: Iterable[tuple[str, str]] = resource_folders(folder, io)
    else:
        found = ((each, str(folder.resource(each))) for each in resources)
    for resource, path in found:
        try:
            names = io.names(Path(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            if not name.endswith(RECORD):
                continue
            place = folder.place(resource, name.removesuffix(RECORD))
            try:
                files = open_files(io, place)
                if not isinstance(files, Files):
                    if files is Unusable.DAMAGED:
                        on_unreadable(place)
                    continue
                entry = _entry(io, place, files, is_pinned=f"{place.version}{PIN}" in names)
            except StuckDisk:
                raise
            except OSError as error:
                if error.errno not in _EVICTED:
                    on_unreadable(place)
                continue
            yield entry


def verify(
    folder: Folder, io: Io, entry: Entry, progress: Callable[[int], object] = lambda _: None
) -> Verified:
    """Check every block that is there; `progress` is called with the bytes of each step.

    Raises:
        OSError: the record cannot be read.
    """
    files = open_files(io, folder.place(entry.resource, entry.version))
    if not isinstance(files, Files):
        return Verified(0, 0)
    good = damaged = 0
    buffer = memoryview(bytearray(_AT_ONCE * BLOCK))
    for first in range(0, count_blocks(files.size), _AT_ONCE):
        at, last = first, min(first + _AT_ONCE, count_blocks(files.size))
        for number, entry_ in enumerate(files.entries(first, last - first), first):
            if entry_ == ABSENT or number < at:
                continue
            start, stop = number * BLOCK, min(last * BLOCK, files.size)
            lost: int | None = number
            count = 0
            try:
                found = files.read_unverified(start, buffer[: stop - start], _AT_ONCE)
                count, lost = found.count, found.damaged
            except StuckDisk:
                raise
            except OSError:
                pass  # the block counts as damaged
            good += count_blocks(count)
            at = number + count_blocks(count)
            if lost is not None:
                damaged += 1
                at = lost + 1
                with suppress(OSError):
                    files.drop(lost)
            progress(count)
    return Verified(good, damaged)


def evict(folder: Folder, io: Io, entry: Entry) -> Amount:
    """Remove a version, pinned or not; who has it open can go on reading. Returns what that frees.

    Raises:
        OSError: that cannot be done.
    """
    return remove_files(io, folder.place(entry.resource, entry.version), with_pin=True)


def pinned(folder: Folder, io: Io, resource: str) -> set[str]:
    """The versions of a resource that are pinned, by the digests of both.

    Raises:
        OSError: the disk does not say.
    """
    try:
        names = io.names(folder.resource(resource))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {name.removesuffix(PIN) for name in names if name.endswith(PIN)}


def _entry(io: Io, place: Place, files: Files, *, is_pinned: bool) -> Entry:
    blocks, cached = count_blocks(files.size), 0
    for first in range(0, blocks, _ENTRIES):
        found = files.entries(first, min(_ENTRIES, blocks - first))
        cached += (len(found) - found.count(ABSENT)) * BLOCK
    if blocks and files.entries(blocks - 1, 1)[0] != ABSENT:
        cached -= BLOCK - block_size(files.size, blocks - 1)
    return Entry(
        resource=place.resource,
        version=place.version,
        identity=files.origin.identity,
        listed=files.note.listed,
        validators=files.note.validators,
        cached_bytes=cached,
        is_pinned=is_pinned,
        last_used=io.status(place.record).st_mtime,
    )
