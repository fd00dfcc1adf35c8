"""Counts what the cache has done."""

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Counts:
    """What this process has done with the cache."""

    bytes_read: int = 0
    """Bytes that readers got from the cache."""
    hits: int = 0
    """Ranges that were wanted and found, all of them."""
    misses: int = 0
    """Ranges that were wanted and of which something had to be fetched."""
    blocks_kept: int = 0
    """Blocks written."""
    blocks_dropped: int = 0
    """Blocks that were handed over and not written: the disk was slow, full or off."""
    blocks_damaged: int = 0
    """Blocks and records whose checksum did not match."""
    files_off: int = 0
    """Versions whose files are left alone after an error of the disk."""
    evictions: int = 0
    """Versions that this process has removed to make room."""
    bytes_evicted: int = 0
    """Bytes on the disk that this has freed."""


class Tallies:
    """The counts. The lock guards them."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._lock = threading.Lock()
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """A snapshot."""
        return self._counts

    def read(self, count: int) -> None:
        """Count bytes read."""
        with self._lock:
            self._counts = replace(self._counts, bytes_read=self._counts.bytes_read + count)

    def hit(self, count: int) -> None:
        """Count a range that was found, and its bytes."""
        with self._lock:
            counts = self._counts
            self._counts = replace(counts, hits=counts.hits + 1, bytes_read=counts.bytes_read + count)

    def looked_for(self, *, is_there: bool) -> None:
        """Count a range that was looked for; its bytes are counted as they are read."""
        with self._lock:
            counts = self._counts
            self._counts = replace(counts, hits=counts.hits + is_there, misses=counts.misses + (not is_there))

    def kept(self, count: int) -> None:
        """Count blocks written."""
        with self._lock:
            self._counts = replace(self._counts, blocks_kept=self._counts.blocks_kept + count)

    def dropped(self, count: int) -> None:
        """Count blocks that are not written."""
        with self._lock:
            self._counts = replace(self._counts, blocks_dropped=self._counts.blocks_dropped + count)

    def damaged(self) -> None:
        """Count a damaged block."""
        with self._lock:
            self._counts = replace(self._counts, blocks_damaged=self._counts.blocks_damaged + 1)

    def turned_off(self) -> None:
        """Count a version whose files are left alone."""
        with self._lock:
            self._counts = replace(self._counts, files_off=self._counts.files_off + 1)

    def evicted(self, versions: int, freed: int) -> None:
        """Count versions that were removed to make room, and the bytes that this has freed."""
        with self._lock:
            counts = self._counts
            self._counts = replace(
                counts, evictions=counts.evictions + versions, bytes_evicted=counts.bytes_evicted + freed
            )
