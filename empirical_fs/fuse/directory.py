"""Open directory listings: each shows the directory as it was at its start, and cookies belong to files."""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from itertools import count

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.snapshot import Entry, Snapshot

AFTER_SELF, AFTER_PARENT = 1, 2
"""The cookies of `.` and `..`: a listing that goes on from one begins after that name."""
_AFTER_FILES = 3
_COOKIE_MAX = 2**63 - 1


def cookie_after(entry: Entry) -> int:
    """The cookie after a file, the same in every listing: files are listed in the order of their ids."""
    # The three highest ids share the last cookie, which is after all of them.
    return min(entry.resource.id + _AFTER_FILES, _COOKIE_MAX)


class Directory:
    """The open listings. The lock guards their table."""

    def __init__(self, catalog: Catalog) -> None:
        """List the files of `catalog`."""
        self._catalog = catalog
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._begun: dict[int, Snapshot] = {}

    def open(self) -> int:
        """A number for a new listing."""
        return next(self._numbers)

    def close(self, listing: int) -> None:
        """End a listing."""
        with self._lock:
            self._begun.pop(listing, None)

    def entries(self, listing: int, cookie: int) -> Iterator[Entry]:
        """The files after `cookie`. A listing takes a snapshot when it is read from the beginning."""
        files, last = self._snapshot(listing, cookie).in_order, cookie - _AFTER_FILES
        if cookie == _COOKIE_MAX:
            # Otherwise a program at the end would get the last files again and again.
            return iter(())
        first = bisect_right(files, last, key=lambda entry: entry.resource.id) if last >= 0 else 0
        return (files[place] for place in range(first, len(files)))

    def is_latest(self, listing: int) -> bool:
        """Whether a listing shows the same snapshot as lookups do now."""
        return self._begun.get(listing) is self._catalog.latest

    def _snapshot(self, listing: int, cookie: int) -> Snapshot:
        with self._lock:
            if cookie == 0 or listing not in self._begun:
                self._begun[listing] = self._catalog.snapshot()
            return self._begun[listing]
