"""How far to read ahead of one handle: pure policy, without I/O and without a clock."""

from dataclasses import dataclass

FIRST_WINDOW = 512 * 2**10
LARGEST_WINDOW = 8 * 2**20
REORDERING = 256 * 2**10
"""Bytes by which the kernel's own read-ahead makes reads of one stream arrive out of order."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from `start` to before `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stop - self.start


class ReadAhead:
    """One cursor: a window that is earned by reading on, doubles as it is used, and is lost by a seek.

    Not safe between threads; its owner serialises.
    """

    def __init__(self, size: int) -> None:
        """Begin at the start of a file of `size` bytes, with nothing earned."""
        self._size = size
        self._cursor = 0
        self._ahead = 0
        self._window = 0
        self._reads = 0

    def plan(self, start: int, stop: int) -> Range | None:
        """What to fetch ahead, now that the bytes from `start` to `stop` are read; None if nothing."""
        if abs(start - self._cursor) > REORDERING:
            self._cursor, self._ahead, self._window, self._reads = stop, stop, 0, 1
            return None
        if stop <= self._cursor:
            return None
        self._cursor = stop
        self._ahead = max(self._ahead, self._cursor)
        self._reads += 1
        if self._reads == 1:
            return None
        window = self._window or FIRST_WINDOW
        if self._ahead - self._cursor > window // 2 or self._ahead >= self._size:
            return None
        planned = Range(self._ahead, min(self._ahead + window, self._size))
        self._ahead = planned.stop
        self._window = min(window * 2, LARGEST_WINDOW)
        return planned

    def refuse(self, planned: Range) -> None:
        """Note that there was no memory for what was planned: plan it again, and half as much."""
        self._ahead = planned.start
        self._window = max(planned.size // 2, REORDERING)
