"""The directory as programs go through it, with the attributes of its files where libfuse can give them."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

from cachetools import TTLCache

from empirical_fs.catalog import Catalog
from empirical_fs.retirement import Retirement
from empirical_fs.snapshot import Entry, Snapshot

_TOLD_MAX = 1_000_000


class Directory:
    """The listings that are open, each of which goes on as the directory was when it began.

    The lock guards their table, and that of the files whose attributes were given with a listing.
    """

    def __init__(
        self,
        catalog: Catalog,
        retirement: Retirement,
        attributes_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """List what `catalog` has; the kernel keeps attributes for `attributes_seconds`, by `clock`."""
        self._catalog = catalog
        self._retirement = retirement
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._begun: dict[int, Snapshot] = {}
        self._told = TTLCache[str, None](_TOLD_MAX, attributes_seconds, clock)

    def open(self) -> int:
        """A number for a listing that is about to begin."""
        with self._lock:
            return next(self._numbers)

    def entries(self, listing: int, offset: int) -> tuple[Entry, ...]:
        """All files of a listing, which begins anew where a program has read to the `offset` 0."""
        return self._snapshot(listing, offset).in_order

    def entries_to_tell(self, listing: int, offset: int, first: int) -> Iterator[tuple[Entry, bool]]:
        """As `entries`, from `first` on; with each, whether the kernel is to be told its attributes.

        It takes them as it does those of a lookup. It is not told while it has them, for it would ask for all
        of them with the next listing, too (fuse_advise_use_readdirplus in Linux), nor where a lookup may tell
        something else.
        """
        snapshot = self._snapshot(listing, offset)
        for entry in snapshot.in_order[first:]:
            is_told = self._is_to_be_told(snapshot, entry)
            yield entry, is_told
            # Not where whoever asked for more had no room for it.
            if is_told:
                with self._lock:
                    self._told[entry.name] = None

    def close(self, listing: int) -> None:
        """End a listing.

        What changed meanwhile is told to the kernel once more: a change would have waited for a lookup, and
        does not for a listing that gives attributes.
        """
        with self._lock:
            snapshot = self._begun.pop(listing, None)
        if snapshot is None or snapshot is self._catalog.latest:
            return
        changed = self._catalog.latest.changed_since(snapshot)
        if changed:
            tell = threading.Thread(
                target=self._retirement.changed, args=(changed,), name="listed", daemon=True
            )
            tell.start()

    def _snapshot(self, listing: int, offset: int) -> Snapshot:
        with self._lock:
            if offset == 0 or listing not in self._begun:
                self._begun[listing] = self._catalog.snapshot()
            return self._begun[listing]

    def _is_to_be_told(self, snapshot: Snapshot, entry: Entry) -> bool:
        with self._lock:
            if entry.name in self._told:
                return False
        is_current = snapshot is self._catalog.latest and entry.is_sized
        return is_current and self._retirement.tell_listed(entry.name, entry)
