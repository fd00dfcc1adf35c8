"""Reserves room on the disk before anything is written, and evicts what was not used for longest."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from empirical_fs.cache.bounds import Amount, Counter, Limits, Scanned, chunk, excess, usage
from empirical_fs.cache.counters import IDLE_SECONDS, OwnCounter, read_counters, remove_forgotten
from empirical_fs.cache.disk_io import STAT_BLOCK, Io
from empirical_fs.cache.eviction import LeastRecent, may_go
from empirical_fs.cache.files import PAGE
from empirical_fs.cache.folder import Folder, Place
from empirical_fs.cache.scan import scan
from empirical_fs.cache.tallies import Tallies
from empirical_fs.cache.version_files import remove_files

log = logging.getLogger(__name__)

_VALID_SECONDS = 1800.0
"""Age of a scan after which usage is not known any more; half of what removes a process's counter."""
_CURRENT_SECONDS = 300.0
"""Age of a scan from which eviction begins with a new one: others may have made room."""
_AGAIN_SECONDS = 1.0
"""The least number of seconds from scan to scan if nothing is left to evict."""
_REST = 20
"""The same as a multiple of the time that the last scan took."""
_ROUNDS = 2


class Reservations:
    """The room that this process may use.

    Only the thread of the writer calls it; `used` and `is_outdated` are for all. `is_open` tells whether this
    process has a version open (digests of resource and version).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the folder, what it may take, and what is to be known of it
        self,
        folder: Folder,
        io: Io,
        limits: Limits,
        is_open: Callable[[str, str], bool],
        clock: Callable[[], float],
        tallies: Tallies,
    ) -> None:
        """Know nothing yet; `clock` returns seconds and counts suspend; `tallies` counts what is evicted."""
        self.used: Amount | None = None
        """What the cache takes on the disk, reservations included; None before the first scan."""
        self._coming = Amount()
        """What others have reserved and not spent, as they have shown last."""
        self.is_outdated = False
        """Whether files were removed otherwise than by eviction: there may be more room than known."""
        self._folder = folder
        self._io = io
        self._limits = limits
        self._is_open = is_open
        self._clock = clock
        self._tallies = tallies
        self._counter = OwnCounter(folder, io)
        self._scanned: Scanned | None = None
        self._oldest = LeastRecent()
        self._scanned_at = self._shown_at = float("-inf")
        self._scan_took = 0.0

    @property
    def reserved(self) -> Amount:
        """What of `used` is reserved, and not written yet."""
        own = self._counter.value
        return self._coming + (own.reserved - own.spent)

    def prepare(self) -> None:
        """Scan the folder if that has not been done lately; evict what is more than the limits allow by now.

        Raises:
            OSError: the disk does not say what is on it.
        """
        if self._age() <= _VALID_SECONDS:
            return
        self._scan()
        over = self._excess()
        if over.is_any:
            self._evict(over, for_pinned=False)

    def reserve(self, wanted: Amount, *, for_pinned: bool = False) -> bool:
        """Reserve room, of which `spend` tells what was used; False if it does not fit.

        For a pinned version, what was used just now may be evicted, too.

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
        return self._try(more, for_pinned=for_pinned) or self._try(wanted, for_pinned=for_pinned)

    def _try(self, more: Amount, *, for_pinned: bool) -> bool:
        """Reserve that much beside what is reserved; False, and nothing is reserved any more, if not."""
        counter = self._counter.value
        self._shown_at = self._clock()
        if not self._counter.publish(replace(counter, reserved=counter.reserved + more)):
            return False
        is_kept = False
        try:
            is_kept = self._make_fit(for_pinned=for_pinned)
        finally:
            if not is_kept:
                now = self._counter.value
                if self.used is not None:
                    self.used -= now.reserved - now.spent
                self._counter.publish(replace(now, reserved=now.spent))
        return is_kept

    def spend(self, amount: Amount) -> None:
        """Note that something that was reserved is written, or may be."""
        value = self._counter.value
        spent = value.spent + amount
        reserved = Amount(max(value.reserved.bytes, spent.bytes), max(value.reserved.files, spent.files))
        self._counter.value = replace(value, reserved=reserved, spent=spent)

    def close(self) -> None:
        """Give back what is reserved and not spent.

        Raises:
            OSError: that cannot be written; others then count it until they scan.
        """
        try:
            value = self._counter.value
            if value != Counter():
                self._counter.publish(replace(value, reserved=value.spent))
        finally:
            self._counter.close()

    def _current(self) -> Counter:
        """The counter, without what was reserved long ago."""
        value = self._counter.value
        if self._clock() - self._shown_at > IDLE_SECONDS:
            # Others may count it as spent by now, so that it cannot be given back any more.
            value = replace(value, spent=value.reserved)
        self._counter.value = value
        return value

    def _make_fit(self, *, for_pinned: bool) -> bool:
        """Evict until everything that is reserved fits; False if it does not."""
        over = self._excess()
        if over.is_any and (self.is_outdated or self._age() > _CURRENT_SECONDS):
            self._scan()
            over = self._excess()
        for _ in range(_ROUNDS):
            if not over.is_any or not self._evict(over, for_pinned=for_pinned):
                break
            over = self._excess()
        return not over.is_any

    def _excess(self) -> Amount:
        counters = read_counters(self._folder, self._io, self._counter.now_ns())
        counters[self._counter.name] = self._counter.value
        if self._scanned is None:
            self._scan()
        assert self._scanned is not None
        self.used = usage(self._scanned, counters)
        self._note_coming(counters)
        return excess(self._limits, self.used, self._io.space(self._folder.top), counters)

    def _note_coming(self, counters: Mapping[str, Counter]) -> None:
        others = [each for name, each in counters.items() if name != self._counter.name]
        self._coming = sum((each.reserved - each.spent for each in others), Amount())

    def _evict(self, over: Amount, *, for_pinned: bool) -> bool:
        """Evict until that much is freed, or nothing else may go; False if nothing was freed at all."""
        total, may_scan = Amount(), True
        while (over - total).is_any:
            chosen = self._choose(over - total, for_pinned=for_pinned)
            if not chosen:
                # What others may not take yet was passed over since the last scan.
                is_soon = self._age() < max(_AGAIN_SECONDS, _REST * self._scan_took)
                if not may_scan or (is_soon and not for_pinned):
                    break
                may_scan = False
                self._scan()
                continue
            freed = self._remove(chosen)
            if not freed.is_any:
                break
            total += freed
        return total.is_any

    def _choose(self, over: Amount, *, for_pinned: bool) -> list[tuple[Place, Amount]]:
        """Versions to evict, with what each takes, until they take `over`."""
        chosen = list[tuple[Place, Amount]]()
        while over.is_any and (candidate := self._oldest.next()) is not None:
            place = self._folder.place(candidate.resource, candidate.version)
            taken = self._taken(place, for_pinned=for_pinned)
            if taken is not None:
                chosen.append((place, taken))
                over -= taken
        return chosen

    def _taken(self, place: Place, *, for_pinned: bool) -> Amount | None:
        """What a version takes on the disk; None if it may not go."""
        try:
            found = self._io.files(place.folder)
        except FileNotFoundError:
            return None
        own = {name: status for name, status in found if name.startswith(place.version)}
        record = own.get(place.record.name)
        if record is None or not may_go(
            used_ns=record.st_mtime_ns,
            now_ns=self._counter.now_ns(),
            is_open=self._is_open(place.resource, place.version),
            is_pinned=place.pin.name in own,
            for_pinned=for_pinned,
        ):
            return None
        return Amount(sum(each.st_blocks for each in own.values()) * STAT_BLOCK + PAGE, len(own) + 1)

    def _remove(self, chosen: list[tuple[Place, Amount]]) -> Amount:
        """Remove versions; returns what that frees.

        Who ends a scan meanwhile may have seen them or not, and so learns first what may go.
        """
        most = sum((taken for _, taken in chosen), Amount())
        if not self._counter.publish(replace(self._counter.value, freeing=self._counter.value.freed + most)):
            return Amount()
        removed = [remove_files(self._io, place) for place, _ in chosen]
        freed = sum(removed, Amount())
        freed = Amount(min(freed.bytes, most.bytes), min(freed.files, most.files))
        self._tallies.evicted(sum(each.is_any for each in removed), freed.bytes)
        log.debug("evicted %d bytes from the cache", freed.bytes)
        total = self._counter.value.freed + freed
        self._counter.publish(replace(self._counter.value, freed=total, freeing=total))
        return freed

    def _scan(self) -> None:
        begun_at = self._clock()
        self.is_outdated = False
        self._counter.publish(self._counter.value)
        now_ns = self._counter.now_ns()
        remove_forgotten(self._folder, self._io, now_ns)
        self._scanned, self._oldest = scan(self._folder, self._io, now_ns)
        self._scanned_at = begun_at
        self._scan_took = self._clock() - begun_at
        self._note_coming(self._scanned.after)
        self.used = self._scanned.found + self.reserved

    def _age(self) -> float:
        return self._clock() - self._scanned_at
