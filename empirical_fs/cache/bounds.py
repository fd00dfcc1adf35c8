"""How much the cache holds, and whether more fits. No I/O.

Several processes write into one folder, without locks. Each has a counter: of what it has reserved, of what
of that it has spent (written), and of what it has freed. A process knows what was on disk at its last scan,
and by the counters what has changed since. The sum is never too small: what a process had reserved but not
spent when the scan began counts as if it came after the scan, and what was freed counts only if its eviction
began after the scan had ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """Room on a disk."""

    bytes: int = 0
    files: int = 0
    """Files and directories."""

    def __add__(self, other: "Amount") -> "Amount":
        """The sum of both."""
        return Amount(self.bytes + other.bytes, self.files + other.files)

    def __sub__(self, other: "Amount") -> "Amount":
        """The difference; it may be negative."""
        return Amount(self.bytes - other.bytes, self.files - other.files)

    @property
    def is_any(self) -> bool:
        """Whether something is above 0."""
        return self.bytes > 0 or self.files > 0

    def covers(self, other: "Amount") -> bool:
        """Whether `other` fits into this."""
        return self.bytes >= other.bytes and self.files >= other.files


@dataclass(frozen=True, slots=True)
class Limits:
    """What the cache may take."""

    size: int
    """Bytes on disk."""
    min_free_bytes: int = 0
    """Bytes that the cache leaves free on the disk."""
    min_free_percent: float = 0.0
    """The percentage of the disk, in bytes and in files, that the cache leaves free."""
    files: int = 1_000_000
    """Files and directories."""


@dataclass(frozen=True, slots=True)
class Space:
    """What the file system says about its disk."""

    size: int
    """Bytes in all."""
    free: int
    """Bytes free for this user."""
    files: int
    """Files in all; 0 if the file system has no such limit."""
    free_files: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What one process has done since its start."""

    reserved: Amount = Amount()
    spent: Amount = Amount()
    """What of `reserved` is written; at most that."""
    freed: Amount = Amount()
    freeing: Amount = Amount()
    """`freed`, and the most that the eviction under way will free."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan has found."""

    found: Amount
    before: Mapping[str, Counter]
    """The counter of each process, read before the scan."""
    after: Mapping[str, Counter]
    """The same, read after it."""


_NOTHING = Counter()
_MOST_AT_ONCE = Amount(16 * 2**20, 64)
_SHARE = 64


def usage(scanned: Scanned, now: Mapping[str, Counter]) -> Amount:
    """What is on disk or may be soon, by the last scan and the counters `now`; never too small."""
    total = scanned.found
    for process, counter in now.items():
        total += counter.reserved - scanned.before.get(process, _NOTHING).spent
        freed = counter.freed - scanned.after.get(process, _NOTHING).freeing
        total -= Amount(max(freed.bytes, 0), max(freed.files, 0))
    return total


def excess(limits: Limits, used: Amount, space: Space, counters: Mapping[str, Counter]) -> Amount:
    """What must be freed until everything that is reserved fits; nothing above 0 if it fits."""
    coming = Amount()
    for counter in counters.values():
        coming += counter.reserved - counter.spent
    leave = max(limits.min_free_bytes, int(space.size * limits.min_free_percent / 100))
    over = Amount(
        max(used.bytes - limits.size, leave + coming.bytes - space.free), max(used.files - limits.files, 0)
    )
    if space.files:
        leave_files = int(space.files * limits.min_free_percent / 100)
        over = Amount(over.bytes, max(over.files, leave_files + coming.files - space.free_files))
    return over


def chunk(limits: Limits, space: Space) -> Amount:
    """What to reserve at once, so that it is not done for each block: little if cache or disk are small."""
    files = min(limits.files, space.files or limits.files)
    return Amount(
        min(_MOST_AT_ONCE.bytes, limits.size // _SHARE, space.size // _SHARE),
        min(_MOST_AT_ONCE.files, files // _SHARE),
    )
