"""Keeps the last good listing on disk, so that a mount can start while the API is out of reach.

    DIR/v1/listings/<digest>                 the listing for one API and key
    DIR/v1/listings/<digest>.<random>.new    one that is being written

The digest is of the URL of the API and of the key: no name, no URL and no key can be read from it, and who
has another key finds nothing. The last process that writes wins, unless its listing is older.
"""

import hashlib
import logging
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import LAYOUT, check_private, make_private
from empirical_fs.cache.listing_format import KeptListing, Unusable, decoded, encoded
from empirical_fs.errors import SetupError
from empirical_fs.work.jobs import Job

_FOLDER = "listings"
_NEW = ".new"
_DIGEST_BYTES = 16
_PURPOSE = b"kept listing"
_FILE_MAX = 2**30
_PRIVATE = 0o600
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SAME_SECONDS = 1.0
"""Listings whose times differ by less may be the same one, with more sizes: its time is worked out anew for
each writing, by two clocks."""
_ABANDONED_SECONDS = 3600.0
"""A file that was being written so long ago is left of a process that was killed."""
_PAUSE_SECONDS = 5.0
"""The least time between two writes."""
_YIELD_SECONDS = 0.001
"""The pause after each part, in which threads run that answer the kernel."""
_LAST_SECONDS = 10.0
"""How long an unmount waits for the last write."""

log = logging.getLogger(__name__)


class ListingFile:
    """The file that keeps the listing for one API and key. Immutable, so threads may share it."""

    def __init__(self, folder: Path, api_url: str, key: str) -> None:
        """Keep it in `folder`, the folder of the cache; nothing is read or written yet."""
        self.folder = folder
        name = hashlib.blake2b(
            f"{api_url.rstrip('/')}\0{key}".encode(), digest_size=_DIGEST_BYTES, person=_PURPOSE
        )
        self._identity = name.digest()
        self._path = folder / LAYOUT / _FOLDER / name.hexdigest()
        self._io = Io()

    def read(self) -> KeptListing | None:
        """The kept listing; None if there is none that can be used, which is logged if it is damaged."""
        try:
            content, right_until = self._content()
            listing = decoded(content, self._identity)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("the listing that is kept on disk cannot be read: %s", error.strerror)
        except (SetupError, Unusable) as error:
            log.warning("the listing that is kept on disk is not used: %s", error)
        else:
            later = right_until - listing.listed_at if right_until <= time.time() else 0.0
            return listing if later <= 0 else _moved(listing, later)
        return None

    @property
    def is_there(self) -> bool:
        """Whether there is a file; it may be damaged."""
        try:
            return self._path.exists()
        except OSError:
            return False

    def write(self, listing: KeptListing, pause: Callable[[], object]) -> None:
        """Replace the kept listing, atomically, unless another process has kept a newer one.

        Args:
            listing: the listing.
            pause: called after each part.

        Raises:
            OSError: it could not be written; the listing before is still kept.
            SetupError: others could write to the folder.
        """
        self._make_folders()
        self._remove_abandoned()
        if self._has_newer(listing):
            return
        new = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}{_NEW}")
        descriptor = os.open(new, _WRITING, _PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for part in encoded(listing, self._identity):
                    file.write(part)
                    pause()
                file.flush()
                os.fsync(descriptor)
                os.utime(descriptor, (listing.listed_at, listing.listed_at))
            new.replace(self._path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise

    def confirm(self, listed_at: float) -> None:
        """Note that the kept listing was still right at `listed_at` (seconds since the epoch).

        Raises:
            OSError: that cannot be noted.
        """
        with suppress(FileNotFoundError):
            if self._path.stat().st_mtime < listed_at:
                os.utime(self._path, (listed_at, listed_at))

    def _content(self) -> tuple[bytes, float]:
        """All bytes of the file, and until when they were right, in seconds since the epoch.

        Raises:
            OSError: it cannot be read.
            SetupError: others could write it.
            Unusable: it is not a regular file, or it is too large.
        """
        descriptor = os.open(self._path, _READING)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _FILE_MAX:
                raise Unusable("it is no file, or too large")
            check_private(status, self._path)
            return file.read(_FILE_MAX), status.st_mtime

    def _make_folders(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        for each in (self.folder, self._path.parent.parent, self._path.parent):
            make_private(self._io, each)
            check_private(each.stat(), each)

    def _has_newer(self, listing: KeptListing) -> bool:
        try:
            kept_at = self._path.stat().st_mtime
        except OSError:
            return False
        # A time in the future is of a clock that was wrong.
        return listing.listed_at + _SAME_SECONDS < kept_at <= time.time()

    def _remove_abandoned(self) -> None:
        for each in self._path.parent.glob(f"*{_NEW}"):
            with suppress(OSError):
                if time.time() - each.stat().st_mtime > _ABANDONED_SECONDS:
                    each.unlink()


def _moved(listing: KeptListing, seconds: float) -> KeptListing:
    """The same listing, which was still right so many seconds later."""
    return replace(listing, listed_at=listing.listed_at + seconds, server_time=listing.server_time + seconds)


class Keeper:
    """Writes the listing when it has changed, in a thread of its own, at most every few seconds.

    A disk that is full or broken is no error: the listing that was kept before stays, and the next refresh
    brings another try. The lock guards the number of changes.
    """

    def __init__(self, file: ListingFile, listing: Callable[[], KeptListing | None]) -> None:
        """Write to `file` what `listing` returns; None if there is no listing yet."""
        self._file = file
        self._listing = listing
        self._lock = threading.Lock()
        self._changes = 0
        self._kept = 0
        """How many of the changes are on disk."""
        self._closing = threading.Event()
        self._is_over = threading.Event()
        self._written_at = float("-inf")
        self._failure = ""
        self._job = Job("keeping the listing", self._work, patience=float("inf"))

    def listed(self, *, is_news: bool) -> None:
        """Note that the API has answered with the listing, which has changed or not; never blocks."""
        with self._lock:
            self._changes += is_news
        self._job.ask()

    def close(self) -> None:
        """Write what is not on disk yet; returns after ten seconds at most."""
        self._closing.set()
        if self._job.ask():
            self._is_over.wait(_LAST_SECONDS)

    def _work(self) -> None:
        pause = self._written_at + _PAUSE_SECONDS - time.monotonic()
        if pause > 0:
            self._closing.wait(pause)
        is_last, changes = self._closing.is_set(), self._changes
        listing = self._listing()
        try:
            if listing is not None and changes > self._kept:
                self._file.write(listing, self._pause)
                self._written_at = time.monotonic()
            elif listing is not None:
                self._file.confirm(listing.listed_at)
            self._kept, self._failure = changes, ""
        except (OSError, SetupError, MemoryError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if reason != self._failure:
                log.info("the listing is not kept on disk: %s", reason)
            self._failure = reason
        finally:
            if is_last:
                self._is_over.set()

    def _pause(self) -> None:
        self._job.moved()
        if not self._closing.is_set():
            time.sleep(_YIELD_SECONDS)
