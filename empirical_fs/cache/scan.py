"""Finds out what is on disk, and removes what crashes have left."""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import suppress
from os import stat_result
from pathlib import Path

from empirical_fs.cache.bounds import Amount, Scanned
from empirical_fs.cache.counters import FORGOTTEN_NS, read_counters
from empirical_fs.cache.disk_io import STAT_BLOCK, Io
from empirical_fs.cache.eviction import LeastRecent
from empirical_fs.cache.folder import DATA, NEW, PROCESSES, RECORD, Folder, Place
from empirical_fs.cache.version_files import read_header

_FOLDER = Amount(4096, 1)
_USUAL = 2
"""The files of a resource with one version: a record, and its data."""
_BREATH = 0.0005
"""Seconds after each of the 256 folders in which readers get the interpreter for sure."""


def scan(folder: Folder, io: Io, now_ns: int) -> tuple[Scanned, LeastRecent]:
    """Add up all files of the cache, and find those that were used longest ago.

    Raises:
        OSError: the disk does not say; then nothing is known.
    """
    before = read_counters(folder, io, now_ns)
    recent = LeastRecent()
    size = files = 0
    for resource, path in resource_folders(folder, io):
        try:
            found = io.files(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        records = [name.removesuffix(RECORD) for name, _ in found if name.endswith(RECORD)]
        if len(records) != 1 or len(found) != _USUAL:
            found = _remove_rests(io, Path(path), found, now_ns)
        size += _FOLDER.bytes
        files += _FOLDER.files + len(found)
        for name, status in found:
            size += status.st_blocks * STAT_BLOCK
            if name.endswith(RECORD):
                recent.add(resource, name.removesuffix(RECORD), status.st_mtime_ns)
    return Scanned(Amount(size, files), before, read_counters(folder, io, now_ns)), recent


def resource_folders(folder: Folder, io: Io) -> Iterator[tuple[str, str]]:
    """The digests of all resources, and the paths of their folders.

    Raises:
        OSError: the disk does not say.
    """
    for shard in io.names(folder.top):
        if shard == PROCESSES:
            continue
        try:
            names = io.names(folder.top / shard)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            # With a Path for each, a scan would take twice as long.
            yield name, f"{folder.top}/{shard}/{name}"
        time.sleep(_BREATH)


def _remove_rests(
    io: Io, resource: Path, found: list[tuple[str, stat_result]], now_ns: int
) -> list[tuple[str, stat_result]]:
    """Remove old files that no record names; returns the others."""
    records = {name.removesuffix(RECORD) for name, _ in found if name.endswith(RECORD)}
    data = Tally(name.split(".")[0] for name, _ in found if name.endswith(DATA))
    left = []
    for name, status in found:
        version = name.split(".")[0]
        is_rest = name.endswith(NEW) or (
            name.endswith(DATA)
            and (version not in records or (data[version] > 1 and not _is_named(io, resource, version, name)))
        )
        if is_rest and status.st_mtime_ns < now_ns - FORGOTTEN_NS:
            with suppress(OSError):
                io.unlink(resource / name)
                continue
        left.append((name, status))
    if not left:
        with suppress(OSError):
            io.remove_folder(resource)
    return left


def _is_named(io: Io, resource: Path, version: str, name: str) -> bool:
    """Whether the record of that version names that data file, as far as can be told."""
    place = Place(resource, resource.name, version)
    try:
        found = read_header(io, place)
    except OSError:
        return True
    return not isinstance(found, tuple) or place.data(found[0].nonce).name == name
