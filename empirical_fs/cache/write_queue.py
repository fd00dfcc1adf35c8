"""What waits to be written: bounded by bytes, one version after the other."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from empirical_fs.cache.cached import Cached
from empirical_fs.cache.upkeep import Chore, Upkeep
from empirical_fs.work.threads import Bell

_AT_ONCE = 64
"""Blocks that are written for one version before another one has its turn."""
_GATHERED = 2**20
_GATHER_SECONDS = 0.005
"""If fewer than _GATHERED bytes wait, more may come within this time; blocks written at once cost less."""
_CHORES = 4096
"""How many versions may wait for something small; more are forgotten, which only costs a fetch."""


@dataclass(slots=True)
class Pending:
    """What is to be written for one version."""

    blocks: dict[int, bytes | memoryview] = field(default_factory=dict)
    drops: set[int] = field(default_factory=set)
    chores: set[Chore] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Bytes of the blocks."""
        return sum(map(len, self.blocks.values()))

    def runs(self) -> Iterator[tuple[int, list[bytes | memoryview]]]:
        """The blocks as runs of consecutive ones, each with the number of its first."""
        first, run = 0, list[bytes | memoryview]()
        for block in sorted(self.blocks):
            if run and block != first + len(run):
                yield first, run
                run = []
            if not run:
                first = block
            run.append(self.blocks[block])
        if run:
            yield first, run


class WriteQueue:
    """The queue of the writer. The lock guards it; no system call is made while it is held.

    A version that waits has a reference, which goes to who takes it.
    """

    def __init__(self, upkeep: Upkeep, capacity: int) -> None:
        """Hold up to `capacity` bytes of blocks, from `start` on."""
        self._upkeep = upkeep
        self._capacity = capacity
        self._lock = threading.Lock()
        self._changed = Bell(self._lock)
        self._came = Bell(self._lock)
        self._pending: dict[Cached, Pending] = {}
        self._held = 0
        self._taken: list[Cached] = []
        self._is_started = False

    @property
    def room(self) -> int:
        """How many bytes more may wait."""
        return max(self._capacity - self._held, 0)

    def has(self, cached: Cached) -> bool:
        """Whether something for a version waits, or is being written."""
        with self._lock:
            return cached in self._pending or cached in self._taken

    def start(self) -> None:
        """Take what comes from now on."""
        self._is_started = True

    def stop(self) -> None:
        """Take nothing more, and forget what waits."""
        with self._lock:
            self._is_started = False
            forgotten, self._pending = self._pending, {}
            self._held = 0
            self._changed.ring_for_all()
            self._came.ring_for_all()
        for cached in forgotten:
            self._upkeep.release(cached)

    def put_block(self, cached: Cached, block: int, data: bytes | memoryview) -> bool:
        """Add a block; False if that does not fit."""
        with self._lock:
            if not self._is_started or self._held + len(data) > self._capacity:
                return False
            pending = self._of(cached)
            self._held += len(data) - len(pending.blocks.get(block, b""))
            pending.blocks[block] = data
            return True

    def put_drop(self, cached: Cached, block: int) -> bool:
        """Add a block that is to be recorded as absent; False if too much waits."""
        with self._lock:
            if not self._has_room_for_chore(cached):
                return False
            self._of(cached).drops.add(block)
            return True

    def put_chore(self, cached: Cached, chore: Chore) -> bool:
        """Add something small; False if too much waits."""
        with self._lock:
            if not self._has_room_for_chore(cached):
                return False
            self._of(cached).chores.add(chore)
            return True

    def take(self, linger: float) -> tuple[Cached, Pending] | None:
        """Take what has waited longest, with its reference, until `done`.

        If nothing waits, something may come within `linger` seconds; if not, the answer is None.
        """
        with self._lock:
            if not self._pending and self._is_started and linger:
                self._came.wait(linger)
            is_little = 0 < self._held < _GATHERED
        if linger and is_little:
            time.sleep(_GATHER_SECONDS)
        with self._lock:
            if not self._pending:
                return None
            cached = next(iter(self._pending))
            taken = self._pending.pop(cached)
            if len(taken.blocks) > _AT_ONCE:
                self._upkeep.retain(cached)
                rest = self._pending[cached] = Pending()
                for block in list(taken.blocks)[_AT_ONCE:]:
                    rest.blocks[block] = taken.blocks.pop(block)
            self._taken.append(cached)
            return cached, taken

    def done(self, cached: Cached, size: int) -> None:
        """Note that what was taken, with `size` bytes of blocks, is written or dropped."""
        with self._lock:
            self._held = max(self._held - size, 0)
            self._taken.remove(cached)
            self._changed.ring_for_all()
        self._upkeep.release(cached)

    def drain(self, seconds: float) -> bool:
        """Wait until nothing waits or is being written; False if `seconds` were not enough."""
        deadline = time.monotonic() + seconds
        with self._lock:
            while self._pending or self._taken:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _has_room_for_chore(self, cached: Cached) -> bool:
        return self._is_started and (cached in self._pending or len(self._pending) < _CHORES)

    def _of(self, cached: Cached) -> Pending:
        """What waits for a version. The lock is held."""
        pending = self._pending.get(cached)
        if pending is None:
            self._upkeep.retain(cached)
            pending = self._pending[cached] = Pending()
            self._came.ring()
        return pending
