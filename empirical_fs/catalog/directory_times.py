"""Remembers the directory's modification time from mount to mount.

Programs that cache directories by their mtime (fontconfig, media scanners, NFS clients) would keep showing
files that were deleted while nothing was mounted, since the mtime from the listing alone would be unchanged.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from empirical_fs.catalog.snapshot import Entry, directory_time

_STATE_VARIABLE = "XDG_STATE_HOME"
"""From the XDG Base Directory Specification."""
_BYTES = 8
_MODULUS = 2 ** (8 * _BYTES)
_AHEAD_MAX_NS = 86_400 * 10**9
"""How far a remembered time may be in the future: each change adds a second at least."""
_FILE_MAX = 1000

log = logging.getLogger(__name__)


class _Remembered(msgspec.Struct):
    look: int
    """A hash of everything that the directory showed."""
    changed_ns: int


class DirectoryTimes:
    """Remembers the time of one directory. Not thread-safe: the owner holds a lock."""

    def __init__(self, file: Path | None = None) -> None:
        """Store it in `file`; None: remember nothing."""
        self._file = file
        self._look = 0

    def begin(self, entries: Iterable[Entry], newest_ns: int, now_ns: int) -> int:
        """The directory's mtime at mount, given its entries; all times are in nanoseconds since the epoch.

        It is the time of the last mount if the directory is unchanged, else a later one.
        """
        if self._file is None:
            return newest_ns
        self._look = sum(map(_look, entries)) % _MODULUS
        before = self._read(max(newest_ns, now_ns) + _AHEAD_MAX_NS)
        if before is None:
            changed_ns = newest_ns
        elif before.look == self._look and before.changed_ns >= newest_ns:
            return before.changed_ns
        else:
            changed_ns = directory_time(before.changed_ns, newest_ns, now_ns)
        self._write(changed_ns)
        return changed_ns

    def changed(self, pairs: Iterable[tuple[Entry | None, Entry | None]], changed_ns: int) -> None:
        """Remember a change: the old and new entry of each changed name, and the directory's new mtime."""
        if self._file is None:
            return
        for before, now in pairs:
            self._look = (self._look - _look(before) + _look(now)) % _MODULUS
        self._write(changed_ns)

    def _read(self, latest_ns: int) -> _Remembered | None:
        if self._file is None:
            return None
        try:
            with self._file.open("rb") as file:
                found = msgspec.json.decode(file.read(_FILE_MAX), type=_Remembered)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return found if found.changed_ns <= latest_ns else None

    def _write(self, changed_ns: int) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._file.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(_Remembered(self._look, changed_ns)))
                Path(name).replace(self._file)
            except BaseException:
                Path(name).unlink()
                raise
        except OSError as error:
            # Not essential: it only helps programs after the next mount.
            log.debug("the time of the directory is not remembered: %s", error.strerror)


def place_of(mountpoint: Path, api: str, environment: Mapping[str, str]) -> Path | None:
    """The file for the time of a directory, per user; None if there is no home directory."""
    folder = environment.get(_STATE_VARIABLE, "")
    try:
        state = Path(folder) if folder.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    name = hashlib.blake2b(os.fsencode(mountpoint) + b"\0" + api.encode(), digest_size=16).hexdigest()
    return state / "empirical-fs" / "directories" / name


def _look(entry: Entry | None) -> int:
    """A hash of everything that the API says of a file; a measured size is not part of it."""
    if entry is None:
        return 0
    resource = entry.resource
    said = repr((resource.id, entry.name, resource.updated_ns, resource.link, resource.said))
    digest = hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=_BYTES).digest()
    return int.from_bytes(digest, "big")
