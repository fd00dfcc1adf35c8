"""Counts what the cache has done, and notices a disk that does not answer."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

_STUCK_SECONDS = 5.0
"""Seconds after which a read that has not ended shows that the disk does not answer."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What this process has done with the cache."""

    bytes_read: int = 0
    """Bytes that readers got from the cache."""
    blocks_kept: int = 0
    """Blocks written."""
    blocks_dropped: int = 0
    """Blocks that were handed over and not written: the disk was slow, full or off."""
    blocks_damaged: int = 0
    """Blocks and records whose checksum did not match."""
    files_off: int = 0
    """Versions whose files are left alone after an error of the disk."""


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


class StuckDisk(OSError):
    """An earlier call has not ended for long, so this one was not made."""


class Patience:
    """Keeps readers away from a disk that does not answer. The lock guards the calls.

    A call that hangs cannot be ended; but no other one joins it, and when it ends, the disk is used again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a call; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[object, float] = {}

    @contextmanager
    def call(self) -> Iterator[None]:
        """Note a call that lasts as long as the context.

        Raises:
            StuckDisk: another one does not end.
        """
        token, now = object(), self._clock()
        with self._lock:
            # The first one in a dict is the oldest.
            if self._since and next(iter(self._since.values())) < now - _STUCK_SECONDS:
                raise StuckDisk
            self._since[token] = now
        try:
            yield
        finally:
            with self._lock:
                del self._since[token]
