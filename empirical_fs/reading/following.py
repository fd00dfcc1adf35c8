"""Which reads the kernel may have sent ahead of its reader: pure policy, without I/O or a clock."""

from collections.abc import Hashable

CERTAIN_AT = 2**20
"""Bytes read in one go after which it does not matter: another window of the kernel is little beside them."""

_REMEMBERED = 16
_SHARE = 5
_SECONDS_MIN, _SECONDS_MAX = 0.001, 0.015
"""No reader closes a file in less; more would be felt."""


def pause(round_trip: float) -> float:
    """Seconds to wait for a reader to close the file, where the store answers after so many; or 0."""
    seconds = min(round_trip / _SHARE, _SECONDS_MAX)
    return seconds if seconds >= _SECONDS_MIN else 0.0


class Following:
    """The first reads of one handle. Not safe between threads; its owner serialises.

    The kernel asks for the next window as soon as a program has come to the one before, and before that
    program wants it: a read that begins where an answered one ended may be of no use to anybody. Where the
    one before has no answer yet, both are of one call.
    """

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._runs: dict[int, int] = {}
        """The length of the run that ends at an offset."""
        self._asked: dict[Hashable, int] = {}
        """Where the reads end that have no answer."""
        self._held: set[int] = set()
        """Where those end that were taken for reads ahead."""
        self._is_certain = False

    def trust(self) -> None:
        """Take all that is read from now on for wanted."""
        self._is_certain = True

    def begin(self, read: Hashable, start: int, stop: int) -> bool:
        """Note a read, and say whether it may be one ahead of its reader."""
        run = self._runs.pop(start, 0) + stop - start
        self._runs[stop] = run
        for old in list(self._runs)[:-_REMEMBERED]:
            del self._runs[old]
            self._held.discard(old)
        is_ahead = (
            not self._is_certain
            and stop - start < run <= CERTAIN_AT
            and (start not in self._asked.values() or start in self._held)
        )
        self._held.discard(start)
        if is_ahead:
            self._held.add(stop)
        self._asked[read] = stop
        return is_ahead

    def end(self, read: Hashable) -> None:
        """Note that a read is over."""
        self._asked.pop(read, None)
