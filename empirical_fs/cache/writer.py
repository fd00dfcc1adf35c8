"""Writes what was handed over, in a thread of its own: nobody waits for the disk."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from empirical_fs.cache.bounds import Amount
from empirical_fs.cache.cached import Cached, Chore, Upkeep
from empirical_fs.cache.disk_failures import Effect, effect
from empirical_fs.cache.files import (
    Files,
    create_files,
    open_files,
    remove_files,
    room_for_blocks,
    room_for_files,
)
from empirical_fs.cache.record import Note, Unusable
from empirical_fs.cache.room import Room
from empirical_fs.work.threads import Bell

log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Blocks that are written for one version before another one has its turn."""
_PAUSE_SECONDS = 60.0
"""Seconds for which nothing is written after the disk was full or failed."""
_FULL_SECONDS = 5.0
"""The same after the limits of the cache did not allow more."""
_CHORES = 4096
"""How many versions may wait for something small; more are forgotten, which only costs a fetch."""


class Asked(Protocol):
    """A job that is done when somebody asks."""

    def ask(self) -> bool:
        """Have it done; False if that is not possible now."""


MakeJob = Callable[[str, Callable[[], object]], Asked]
"""Makes a job of a name and of the work."""


@dataclass(slots=True)
class Pending:
    """What is to be written for one version."""

    blocks: dict[int, bytes | memoryview] = field(default_factory=dict)
    drops: set[int] = field(default_factory=set)
    chores: set[Chore] = field(default_factory=set)

    @property
    def bytes(self) -> int:
        """Bytes of the blocks."""
        return sum(map(len, self.blocks.values()))


class Writer:
    """The queue, and the work of its thread. The lock guards the queue; no system call is made under it."""

    def __init__(
        self,
        upkeep: Upkeep,
        room: Room,
        capacity: int,
        make_job: MakeJob,
        clock: Callable[[], float],
    ) -> None:
        """Take nothing before `start`.

        Args:
            upkeep: the store.
            room: what may be written.
            capacity: the most bytes that may wait.
            make_job: makes the job that does the work whenever asked.
            clock: returns seconds.
        """
        self._upkeep = upkeep
        self._io = upkeep.io
        self._folder = upkeep.folder
        self._tallies = upkeep.tallies
        self._room = room
        self._clock = clock
        self._capacity = capacity
        self._job = make_job("writing to the cache", self.work)
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._pending: dict[Cached, Pending] = {}
        self._held = 0
        self._writing = 0
        self._is_started = False
        self._paused_until = float("-inf")
        self._reason: str | None = None
        self._has_told_format = False

    @property
    def paused(self) -> str | None:
        """Why nothing is written at the moment; None if that is not so."""
        return self._reason if self._clock() < self._paused_until else None

    def start(self) -> None:
        """Begin to work."""
        self._is_started = True
        self._job.ask()

    def stop(self) -> None:
        """Take nothing more, and forget what waits."""
        with self._lock:
            self._is_started = False
            forgotten, self._pending = self._pending, {}
            self._held = 0
            self._changed.ring_for_all()
        for cached in forgotten:
            self._upkeep.release(cached)

    def put_block(self, cached: Cached, block: int, data: bytes | memoryview) -> bool:
        """Have a block written; False if there is no room in memory or on the disk for it."""
        with self._lock:
            can_take = self._is_started and self._held + len(data) <= self._capacity
            if can_take and self._clock() >= self._paused_until:
                pending = self._pending_of(cached)
                self._held += len(data) - len(pending.blocks.get(block, b""))
                pending.blocks[block] = data
            else:
                can_take = False
        if not can_take:
            self._tallies.dropped(1)
            return False
        self._job.ask()
        return True

    def put_drop(self, cached: Cached, block: int) -> None:
        """Have a block recorded as absent."""
        if self._has_room_for_chore(cached):
            with self._lock:
                self._pending_of(cached).drops.add(block)
            self._job.ask()

    def put_chore(self, cached: Cached, chore: Chore) -> None:
        """Have something small done."""
        if self._has_room_for_chore(cached):
            with self._lock:
                self._pending_of(cached).chores.add(chore)
            self._job.ask()

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is to be written; False if `seconds` were not enough."""
        deadline = time.monotonic() + seconds
        with self._lock:
            while self._pending or self._writing:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def work(self) -> None:
        """Write until nothing is left."""
        try:
            self._room.prepare()
        except OSError as error:
            self._pause(error)
        while (taken := self._take()) is not None:
            cached, pending = taken
            size = pending.bytes
            try:
                self._write(cached, pending)
            finally:
                pending.blocks.clear()
                with self._lock:
                    self._held = max(self._held - size, 0)
                    self._writing -= 1
                    self._changed.ring_for_all()
                self._upkeep.release(cached)

    def _has_room_for_chore(self, cached: Cached) -> bool:
        return self._is_started and (cached in self._pending or len(self._pending) < _CHORES)

    def _pending_of(self, cached: Cached) -> Pending:
        """What waits for a version, which has a reference for as long as it waits. The lock is held."""
        pending = self._pending.get(cached)
        if pending is None:
            self._upkeep.retain(cached)
            pending = self._pending[cached] = Pending()
        return pending

    def _take(self) -> tuple[Cached, Pending] | None:
        """Take what has waited longest, with its reference; None if nothing waits."""
        with self._lock:
            if not self._pending:
                return None
            cached = next(iter(self._pending))
            taken = self._pending[cached]
            if len(taken.blocks) > _AT_ONCE:
                self._upkeep.retain(cached)
                rest = Pending()
                for block in list(taken.blocks)[_AT_ONCE:]:
                    rest.blocks[block] = taken.blocks.pop(block)
                del self._pending[cached]
                self._pending[cached] = rest
            else:
                del self._pending[cached]
            self._writing += 1
            return cached, taken

    def _write(self, cached: Cached, pending: Pending) -> None:
        kept = 0
        try:
            if cached.may_write and self._clock() >= self._paused_until:
                kept = self._write_all(cached, pending)
        except OSError as error:
            if effect(error) is Effect.PAUSE:
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
        """Write everything; returns how many blocks were written.

        Raises:
            OSError: the disk is full, or fails.
            ValueError: the validators do not fit into a record.
        """
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
        for first, run in runs(pending.blocks):
            checksums = files.checksums(first, run)
            if not files.has(first, checksums):
                wanted = room_for_blocks(len(run))
                if not self._reserve(wanted):
                    break
                try:
                    files.write_blocks(first, run, checksums)
                finally:
                    self._room.spend(wanted)
            kept += len(run)
            self._tallies.kept(len(run))
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
            self._room.freed_by_command.append(remove_files(self._io, cached.place))
        return None

    def _create(self, cached: Cached) -> Files | None:
        wanted = room_for_files(cached.size)
        if not cached.may_write or not self._reserve(wanted):
            return None
        try:
            note = cached.wanted_note(Note(), time.time_ns())
            files = create_files(self._io, self._folder, cached.place, cached.identity, note)
        finally:
            self._room.spend(wanted)
        cached.replaces = False
        return files

    def _reserve(self, wanted: Amount) -> bool:
        try:
            if self._room.reserve(wanted):
                return True
        except OSError as error:
            self._pause(error)
            return False
        with self._lock:
            self._paused_until = self._clock() + _FULL_SECONDS
            self._reason = "it is full, and nothing in it may be evicted now"
        return False

    def _pause(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if reason != self.paused:
            log.warning("the cache in %s takes nothing for a minute: %s", self._folder.path, reason)
        with self._lock:
            self._paused_until = self._clock() + _PAUSE_SECONDS
            self._reason = reason

    def _tell_format(self, cached: Cached) -> None:
        if not self._has_told_format:
            self._has_told_format = True
            log.warning("%s was made by another release, and is left alone", cached.place.record)


def runs(blocks: dict[int, bytes | memoryview]) -> Iterator[tuple[int, list[bytes | memoryview]]]:
    """The blocks as runs of consecutive ones, each with the number of its first."""
    first, run = 0, list[bytes | memoryview]()
    for block in sorted(blocks):
        if run and block != first + len(run):
            yield first, run
            run = []
        if not run:
            first = block
        run.append(blocks[block])
    if run:
        yield first, run
