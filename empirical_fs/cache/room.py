"""Reserves room on the disk before anything is written, and evicts what was not used for longest."""

import logging
from collections import deque
from collections.abc import Callable

from empirical_fs.cache.bounds import Amount, Counter, Limits, Scanned, chunk, excess, usage
from empirical_fs.cache.counters import OwnCounter, read_counters, remove_forgotten
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.eviction import LeastRecent, may_go
from empirical_fs.cache.folder import Folder, Place
from empirical_fs.cache.making import remove_files
from empirical_fs.cache.scan import scan

log = logging.getLogger(__name__)

_VALID_SECONDS = 1800.0
"""Age of a scan after which usage is not known any more; half of what removes a process's counter."""
_CURRENT_SECONDS = 300.0
"""Age of a scan from which eviction begins with a new one: others may have made room."""
_AGAIN_SECONDS = 1.0
"""The least number of seconds from scan to scan if nothing is left to evict."""
_REST = 20
"""The same as a multiple of the time that the last scan took."""
_IDLE_SECONDS = 600.0
"""After this time a reservation is given back."""
_ROUNDS = 2


class Room:
    """The room that this process may use. Only the thread of the writer calls it, except for `used`.

    `is_open` tells whether this process has a version open (digests of resource and version).
    """

    def __init__(
        self,
        folder: Folder,
        io: Io,
        limits: Limits,
        is_open: Callable[[str, str], bool],
        clock: Callable[[], float],
    ) -> None:
        """Know nothing yet; `clock` returns seconds and counts suspend."""
        self.used: Amount | None = None
        """What the cache takes on the disk, reservations included; None before the first scan."""
        self.freed_by_command: deque[Amount] = deque()
        """What other threads of this process have freed; they append to it."""
        self._folder = folder
        self._io = io
        self._limits = limits
        self._is_open = is_open
        self._clock = clock
        self._counter = OwnCounter(folder, io)
        self._scanned: Scanned | None = None
        self._oldest = LeastRecent()
        self._scanned_at = self._moved_at = float("-inf")
        self._scan_took = 0.0

    def prepare(self) -> None:
        """Scan the folder if that has not been done lately.

        Raises:
            OSError: the disk does not say what is on it.
        """
        if self._age() > _VALID_SECONDS:
            self._scan()

    def reserve(self, wanted: Amount) -> bool:
        """Reserve room, of which `spend` tells what was used; False if it does not fit.

        Raises:
            OSError: the disk fails.
        """
        self.prepare()
        counter = self._current()
        held = counter.reserved - counter.spent
        if held.covers(wanted):
            return True
        usual = chunk(self._limits, self._io.space(self._folder.top))
        more = Amount(
            max(wanted.bytes - held.bytes, usual.bytes), max(wanted.files - held.files, usual.files)
        )
        # A try that fails gives back what was held.
        return self._try(more) or self._try(wanted)

    def _try(self, more: Amount) -> bool:
        """Reserve that much beside what is reserved; False, and nothing is reserved any more, if not."""
        counter = self._counter.value
        if not self._counter.publish(Counter(counter.reserved + more, counter.spent, counter.freed)):
            return False
        is_kept = False
        try:
            is_kept = self._make_fit()
        finally:
            if not is_kept:
                now = self._counter.value
                if self.used is not None:
                    self.used -= now.reserved - now.spent
                self._counter.publish(Counter(now.spent, now.spent, now.freed))
        return is_kept

    def spend(self, amount: Amount) -> None:
        """Note that something that was reserved is written, or may be."""
        value = self._counter.value
        spent = value.spent + amount
        reserved = Amount(max(value.reserved.bytes, spent.bytes), max(value.reserved.files, spent.files))
        self._counter.value = Counter(reserved, spent, value.freed)
        self._moved_at = self._clock()

    def close(self) -> None:
        """Give back what is reserved and not spent.

        Raises:
            OSError: that cannot be written; others then count it until they scan.
        """
        try:
            value = self._counter.value
            if value != Counter():
                self._counter.publish(Counter(value.spent, value.spent, value.freed))
        finally:
            self._counter.close()

    def _current(self) -> Counter:
        """The counter, without what was reserved long ago, and with what commands have freed."""
        value = self._counter.value
        if self._clock() - self._moved_at > _IDLE_SECONDS:
            value = Counter(value.spent, value.spent, value.freed)
        while self.freed_by_command:
            value = Counter(value.reserved, value.spent, value.freed + self.freed_by_command.popleft())
        self._counter.value = value
        return value

    def _make_fit(self) -> bool:
        """Evict until everything that is reserved fits; False if it does not."""
        over = self._excess()
        if over.is_any and self._age() > _CURRENT_SECONDS:
            self._scan()
            over = self._excess()
        for _ in range(_ROUNDS):
            if not over.is_any or not self._evict(over):
                break
            over = self._excess()
        return not over.is_any

    def _excess(self) -> Amount:
        counters = read_counters(self._folder, self._io)
        counters[self._counter.name] = self._counter.value
        if self._scanned is None:
            self._scan()
        assert self._scanned is not None
        self.used = usage(self._scanned, counters)
        return excess(self._limits, self.used, self._io.space(self._folder.top), counters)

    def _evict(self, over: Amount) -> bool:
        """Evict until that much is freed, or nothing else may go; False if nothing was freed at all."""
        freed = Amount()
        while (over - freed).is_any:
            candidate = self._oldest.next()
            if candidate is None:
                if self._age() < max(_AGAIN_SECONDS, _REST * self._scan_took):
                    break
                self._scan()
                continue
            freed += self._try_evict(self._folder.place(candidate.resource, candidate.version))
        if not freed.is_any:
            return False
        value = self._counter.value
        log.debug("evicted %d bytes from the cache", freed.bytes)
        self._counter.publish(Counter(value.reserved, value.spent, value.freed + freed))
        return True

    def _try_evict(self, place: Place) -> Amount:
        try:
            used_ns = self._io.status(place.record).st_mtime_ns
            try:
                self._io.status(place.pin)
                is_pinned = True
            except FileNotFoundError:
                is_pinned = False
        except FileNotFoundError:
            return Amount()
        if not may_go(
            used_ns=used_ns,
            now_ns=self._counter.now_ns(),
            is_open=self._is_open(place.resource, place.version),
            is_pinned=is_pinned,
        ):
            return Amount()
        return remove_files(self._io, place)

    def _scan(self) -> None:
        begun_at = self._clock()
        self._counter.publish(self._counter.value)
        now_ns = self._counter.now_ns()
        remove_forgotten(self._folder, self._io, now_ns)
        self._scanned, self._oldest = scan(self._folder, self._io, now_ns)
        self._scanned_at = begun_at
        self._scan_took = self._clock() - begun_at
        self.used = self._scanned.found

    def _age(self) -> float:
        return self._clock() - self._scanned_at
