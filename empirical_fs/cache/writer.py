"""Writes what was handed over, in a thread of its own: nobody waits for the disk."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.closer import Asked
from empirical_fs.cache.disk_failures import Effect, effect
from empirical_fs.cache.files import Files, room_for_blocks, room_for_files
from empirical_fs.cache.gate import StuckDisk
from empirical_fs.cache.record import ABSENT, Note, Unusable
from empirical_fs.cache.reservations import Reservations
from empirical_fs.cache.upkeep import Chore, Upkeep
from empirical_fs.cache.version_files import create_files, open_files, remove_files
from empirical_fs.cache.write_queue import Pending, WriteQueue

_FULL = "it is full, and nothing in it may be evicted now"
_FULL_OF_PINNED = "it is full of files that are pinned or open"
"""Why nothing is written, if nothing may go that is there."""

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 60.0
"""Seconds for which nothing is written after the disk was full or failed."""
_FULL_SECONDS = _STUCK_SECONDS = _SHORT_SECONDS = 5.0
"""The same after the limits of the cache did not allow more, or the disk did not answer, or the
system lacked descriptors or memory."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a writer works."""

    make_job: Callable[[str, Callable[[], object]], Asked]
    """Makes a job of a name and of the work."""
    clock: Callable[[], float]
    """Returns seconds."""
    linger: float
    """Seconds for which the job waits for more; a thread for each block would cost as much as to write it."""


class Writer:
    """The work of the thread, and what hands it over. Only that thread sets `_paused_until` and `_reason`."""

    def __init__(self, upkeep: Upkeep, reservations: Reservations, capacity: int, runtime: Runtime) -> None:
        """Take nothing before `start`.

        Args:
            upkeep: the store.
            reservations: what may be written.
            capacity: the most bytes that may wait.
            runtime: how the work is done.
        """
        self._upkeep = upkeep
        self._io = upkeep.io
        self._folder = upkeep.folder
        self._tallies = upkeep.tallies
        self._reservations = reservations
        self._clock = runtime.clock
        self._linger = runtime.linger
        self._queue = WriteQueue(upkeep, capacity)
        self._job = runtime.make_job("writing to the cache", self.work)
        self._paused_until = float("-inf")
        self._reason: str | None = None
        self._has_told_format = False
        self._is_last = False
        """Whether nothing is written any more, but what is reserved is given back."""
        self._is_over = threading.Event()

    @property
    def paused(self) -> str | None:
        """Why nothing is written at the moment; None if that is not so."""
        return self._reason if self._clock() < self._paused_until else None

    def is_full_for(self, *, is_pinned: bool) -> bool:
        """Whether there is no room at the moment for a version that is pinned or not."""
        reason = self.paused
        return reason is _FULL_OF_PINNED or (reason is _FULL and not is_pinned)

    @property
    def room(self) -> int:
        """How many bytes more may wait."""
        return self._queue.room

    def is_to_write(self, cached: Cached) -> bool:
        """Whether something for a version waits, or is being written."""
        return self._queue.has(cached)

    def start(self) -> None:
        """Begin to work."""
        self._queue.start()
        self._job.ask()

    def stop(self) -> None:
        """Take nothing more, and forget what waits."""
        self._queue.stop()

    def give_back(self, seconds: float) -> None:
        """Give back what is reserved, after `stop`; waits for the disk for so long at most."""
        self._is_over.clear()
        self._is_last = True
        if self._job.ask():
            self._is_over.wait(seconds)

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is to be written; False if `seconds` were not enough."""
        return self._queue.drain(seconds)

    def put_block(self, cached: Cached, block: int, data: bytes | memoryview) -> bool:
        """Have a block written; False if there is no room in memory or on the disk for it."""
        if self._is_paused_for(cached) or not self._queue.put_block(cached, block, data):
            self._tallies.dropped(1)
            return False
        self._job.ask()
        return True

    def put_drop(self, cached: Cached, block: int) -> None:
        """Have a block recorded as absent."""
        if self._queue.put_drop(cached, block):
            self._job.ask()

    def put_chore(self, cached: Cached, chore: Chore) -> None:
        """Have something small done."""
        if self._queue.put_chore(cached, chore):
            self._job.ask()

    def work(self) -> None:
        """Write until nothing is left."""
        if self._is_last:
            self._give_back()
            return
        try:
            self._reservations.prepare()
        except OSError as error:
            self._pause(error)
        while (taken := self._queue.take(self._linger)) is not None:
            cached, pending = taken
            size = pending.size
            try:
                self._write(cached, pending)
            finally:
                pending.blocks.clear()
                self._queue.done(cached, size)

    def _give_back(self) -> None:
        try:
            self._reservations.close()
        except OSError as error:
            log.debug("what the cache had reserved is not given back: %s", error)
        finally:
            self._is_over.set()

    def _write(self, cached: Cached, pending: Pending) -> None:
        kept = 0
        try:
            is_possible = cached.may_write or Chore.DISCARD in pending.chores
            if is_possible and not self._is_paused_for(cached):
                kept = self._write_all(cached, pending)
        except OSError as error:
            if effect(error) is not Effect.FILE_OFF:
                self._pause(error)
            else:
                cached.fail(error, "write")
        except (ValueError, OverflowError):
            cached.refuse()  # what the store sent does not fit into a record
        except MemoryError:
            pass  # the blocks are dropped, which gives memory back
        if len(pending.blocks) > kept:
            self._tallies.dropped(len(pending.blocks) - kept)

    def _write_all(self, cached: Cached, pending: Pending) -> int:
        """Write everything; returns how many blocks are on disk then.

        Raises:
            OSError: the disk is full, or fails.
            ValueError: the validators do not fit into a record.
        """
        if Chore.DISCARD in pending.chores:
            self._discard(cached)
            return 0
        files = self._files_of(cached, must=bool(pending.blocks))
        if files is None:
            return 0
        for block in pending.drops:
            files.drop(block)
        if Chore.NOTE in pending.chores:
            files.write_note(cached.wanted_note(files.note, time.time_ns()))
        if Chore.TOUCH in pending.chores:
            files.touch()
        kept = 0
        for first, run in pending.runs():
            checksums = files.checksums(first, run)
            there = files.entries(first, len(run)).tolist()
            if not cached.identity.is_strong and not _agree(there, checksums):
                # Without an ETag, what seems to be one version may be two. Readers go on with the old files.
                self._remove(cached)
                break
            if there != checksums:  # if not, another process was faster
                wanted = room_for_blocks(sum(map(len, run)))
                if not self._reserve(cached, wanted):
                    break
                try:
                    files.write_blocks(first, run, checksums)
                finally:
                    self._reservations.spend(wanted)
                self._tallies.kept(len(run))
            kept += len(run)
        return kept

    def _files_of(self, cached: Cached, *, must: bool) -> Files | None:
        """The files to write to; those that are missing are only made if there `must` be some."""
        files = cached.files
        if files is not None and files.is_gone:
            # Somebody has evicted them. Who only reads goes on with them.
            files = None
            if must:
                cached.adopt(None)
        if files is None and must:
            files = self._open(cached) or self._create(cached) or self._open(cached)
            if files is not None:
                cached.adopt(files)
        return files

    def _open(self, cached: Cached) -> Files | None:
        """Open the files that are there; those of other bytes are removed or left alone."""
        if not cached.may_write:
            return None
        found = open_files(self._io, cached.place)
        if found is Unusable.UNKNOWN_FORMAT:
            self._tell_format(cached)
            cached.refuse()
            return None
        if isinstance(found, Files):
            if cached.fits(found):
                return found
            if not cached.replaces:
                # Another process says that other bytes are current, and one of us is wrong.
                cached.refuse()
                return None
        if found is not None:
            self._remove(cached)
        return None

    def _discard(self, cached: Cached) -> None:
        """Remove the files of a version, unless others are at its place by now."""
        cached.detach()
        files = cached.files
        if files is not None and not files.is_gone:
            self._remove(cached)

    def _remove(self, cached: Cached) -> None:
        remove_files(self._io, cached.place)
        self._reservations.is_outdated = True

    def _create(self, cached: Cached) -> Files | None:
        wanted = room_for_files(cached.size)
        if not cached.may_write or not self._reserve(cached, wanted):
            return None
        try:
            note = cached.wanted_note(Note(), time.time_ns())
            files = create_files(self._io, self._folder, cached.place, cached.identity, note)
        finally:
            self._reservations.spend(wanted)
        cached.replaces = False
        return files

    def _reserve(self, cached: Cached, wanted: Amount) -> bool:
        try:
            if self._reservations.reserve(wanted, for_pinned=cached.is_ordered):
                return True
        except OSError as error:
            self._pause(error)
            return False
        self._pause_for(_FULL_SECONDS, _FULL_OF_PINNED if cached.is_ordered else _FULL)
        return False

    def _is_paused_for(self, cached: Cached) -> bool:
        """Whether nothing of a version is written now; for what is pinned there may be room all the same."""
        reason = self.paused
        return reason is not None and not (reason is _FULL and cached.is_ordered)

    def _pause(self, error: OSError) -> None:
        if isinstance(error, StuckDisk):
            # The gate tells it, if it lasts.
            self._pause_for(_STUCK_SECONDS, str(error.strerror))
            return
        reason = error.strerror or str(error)
        if effect(error) is Effect.SHORT_PAUSE:
            log.debug("the cache takes nothing for a moment: %s", reason)
            self._pause_for(_SHORT_SECONDS, reason)
            return
        if reason != self.paused:
            log.warning("the cache in %s takes nothing for a minute: %s", self._folder.path, reason)
        self._pause_for(_PAUSE_SECONDS, reason)

    def _pause_for(self, seconds: float, reason: str) -> None:
        self._reason = reason
        self._paused_until = self._clock() + seconds

    def _tell_format(self, cached: Cached) -> None:
        if not self._has_told_format:
            self._has_told_format = True
            log.warning("%s was made by another release, and is left alone", cached.place.record)


def _agree(there: list[int], checksums: list[int]) -> bool:
    """Whether no block that is there has another checksum than the one in `checksums`."""
    return all(old in (ABSENT, new) for old, new in zip(there, checksums, strict=True))
