"""Recognises reads that may be the kernel's read-ahead: pure policy, without I/O or a clock."""

from collections.abc import Hashable

CERTAIN_AT = 2**20
"""After this many bytes in sequence, reads are not delayed: one more kernel window is little then."""

_REMEMBERED = 16
_SHARE = 5
_SECONDS_MIN, _SECONDS_MAX = 0.001, 0.015
"""Limits of the pause: no program closes a file in less time; users would notice more."""


def pause(round_trip: float) -> float:
    """Seconds to wait in case the program closes the file; `round_trip` is the store's, in seconds.

    0 if the wait would be too short to be of use.
    """
    seconds = min(round_trip / _SHARE, _SECONDS_MAX)
    return seconds if seconds >= _SECONDS_MIN else 0.0


class ReadAheadDetector:
    """The first reads of one handle. Not thread-safe; the owner serialises calls.

    The kernel requests the next window as soon as a program reaches the previous one, before the program
    needs it. So a read that begins where an answered read ended may be read-ahead that is never used. If the
    previous read has no answer yet, both belong to one call of the program.
    """

    def __init__(self) -> None:
        """Begin before the first read."""
        self._runs: dict[int, int] = {}
        """The length of each run of sequential reads, by the offset at which it ends."""
        self._asked: dict[Hashable, int] = {}
        """The end offset of each read that is not answered yet."""
        self._held: set[int] = set()
        """The end offsets of the reads that were taken for read-ahead."""
        self._is_certain = False

    def trust(self) -> None:
        """Treat no later read as read-ahead."""
        self._is_certain = True

    def begin(self, read: Hashable, start: int, stop: int) -> bool:
        """Note that a read begins; returns whether it may be the kernel's read-ahead."""
        if self._is_certain:
            return False
        run = self._runs.pop(start, 0) + stop - start
        self._runs[stop] = run
        for old in list(self._runs)[:-_REMEMBERED]:
            del self._runs[old]
            self._held.discard(old)
        is_ahead = stop - start < run <= CERTAIN_AT and (
            start not in self._asked.values() or start in self._held
        )
        self._held.discard(start)
        if is_ahead:
            self._held.add(stop)
        self._asked[read] = stop
        return is_ahead

    def end(self, read: Hashable) -> None:
        """Note that a read has ended."""
        self._asked.pop(read, None)
