"""The places of the cache's files, and whether its folder is safe to use.

    DIR/v1/processes/<random>                          the counter of a process
    DIR/v1/<2 digits>/<resource>/<version>.record      what is there of a version
    DIR/v1/<2 digits>/<resource>/<version>.<random>.data   its bytes, where they stand in the object
    DIR/v1/<2 digits>/<resource>/<version>.pin         there if the version is pinned
    DIR/v1/<2 digits>/<resource>/<random>.new          a record that is being made

All are digests or random: no name, no URL and no key. The record names its data file, so that a record and
the file of another attempt never come together.
"""

import os
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from empirical_fs.cache.disk_io import Io
from empirical_fs.errors import SetupError
from empirical_fs.settings.trust import check_folder

LAYOUT = "v1"
PROCESSES = "processes"
RECORD, DATA, PIN, NEW = ".record", ".data", ".pin", ".new"

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def random_name() -> str:
    """A name that nobody else has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of one version are."""

    folder: Path
    """The folder of the resource."""
    resource: str
    version: str

    @property
    def record(self) -> Path:
        """The record."""
        return self.folder / f"{self.version}{RECORD}"

    @property
    def pin(self) -> Path:
        """The file that is there if the version is pinned."""
        return self.folder / f"{self.version}{PIN}"

    def data(self, nonce: str) -> Path:
        """The data file that the record with that nonce names."""
        return self.folder / f"{self.version}.{nonce}{DATA}"

    def new(self) -> Path:
        """A name for a record that is being made."""
        return self.folder / f"{random_name()}{NEW}"


class Folder:
    """The folder of the cache."""

    def __init__(self, path: Path, io: Io) -> None:
        """Create the folder if it is missing, and check it.

        Raises:
            SetupError: it cannot be created, or others could write to it.
        """
        self._io = io
        try:
            path = path.resolve()
            self.path = path
            self.top = path / LAYOUT
            self.processes = self.top / PROCESSES
            path.parent.mkdir(parents=True, exist_ok=True)
            check_folder(path.parent.stat(), "folder of the cache", str(path.parent))
            for each in (path, self.top, self.processes):
                make_private(io, each)
                _check_folder(io.status(each), each)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a symbolic link leads to itself"
            raise SetupError(
                f"the cache folder {path} cannot be used: {reason}",
                advice="use another one, or none",
            ) from error

    def place(self, resource: str, version: str) -> Place:
        """Where the files of a version are, by both digests."""
        return Place(self.resource(resource), resource, version)

    def resource(self, digest: str) -> Path:
        """The folder of a resource."""
        return self.top / digest[:2] / digest

    def make_for(self, place: Place) -> None:
        """Create the folders for the files of a version where they are missing.

        Raises:
            OSError: that cannot be done.
        """
        # Most often only the last one is missing; each system call lets other threads go first.
        try:
            self._io.make_folder(place.folder)
        except OSError:
            self.make()
            for each in (place.folder.parent, place.folder):
                make_private(self._io, each)

    def make(self) -> None:
        """Create the folder itself where it is missing: somebody may have removed it.

        Raises:
            OSError: that cannot be done.
        """
        for each in (self.path, self.top, self.processes):
            make_private(self._io, each)


def make_private(io: Io, path: Path) -> None:
    """Make a folder for its owner only, where it is missing.

    Raises:
        OSError: that cannot be done.
    """
    try:
        io.make_folder(path)
    except OSError as error:
        # On a read-only disk the error is another one, even if the folder is there. A disk that does not
        # answer any more by now says so, while this error may just be that the folder is there.
        try:
            is_there = stat.S_ISDIR(io.status(path).st_mode)
        except FileNotFoundError:
            raise error from None
        if not is_there:
            raise


def check_private(status: os.stat_result, path: Path) -> None:
    """Check that nobody else can write a folder or a file of the cache.

    Raises:
        SetupError: others can.
    """
    if status.st_uid != os.geteuid():
        raise SetupError(
            f"{path} belongs to another user (uid {status.st_uid})", advice="use a folder of your own"
        )
    if status.st_mode & _OTHERS_WRITE:
        raise SetupError(f"others than you can write to {path}", advice=f"run: chmod go-w {path}")


def _check_folder(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise SetupError(f"the cache folder {path} is not a directory", advice="use another one")
    check_private(status, path)
