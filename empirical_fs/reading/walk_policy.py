"""Decides which files to fetch ahead of a directory walk: pure policy, without I/O or a clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

WINDOW_MAX = 64
"""The largest number of files to fetch ahead of a walk."""

RECOGNISED_AT = 3
"""Consecutive files that a program must read before any is fetched ahead."""

_NEAR = 8
"""How many files parallel readers may be out of order, or a walk may skip."""

_LEFT_OUT_AT = 3
_WALKS_MAX = 4

_MORE_THAN_READ = 2
"""Of one file, at most this many times the length of the longest file of the walk is fetched ahead."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The bytes of a file to fetch ahead."""

    resource_id: int
    stop: int
    """The offset after the last of them."""


@dataclass(slots=True)
class _Walk:
    """A run of files that a program reads in order; files are given by their indices in the order."""

    front: int
    """The last of the files that were read without a gap."""
    ahead: int
    """The last file that was fetched ahead."""
    streak: int = 1
    early: set[int] = field(default_factory=set)
    """Files beyond the front that were read before their turn."""
    whole: int = 0
    """How many consecutive files were read whole, up to the last one."""
    longest: int = 0
    """The size in bytes of the longest of these."""
    earned: int = 0
    """The size in bytes of all of these together."""
    begun: int = -1
    """The last of the files whose beginning was fetched ahead."""

    def close(self, size: int, *, is_whole: bool) -> None:
        """Note how a file was read; if it was not read whole, the next may not be either."""
        if is_whole:
            self.whole += 1
            self.longest = max(self.longest, size)
            self.earned += size
        else:
            self.whole = self.longest = self.earned = 0

    @property
    def reads_whole(self) -> bool:
        return bool(self.window) and self.whole >= RECOGNISED_AT

    def is_near(self, place: int) -> bool:
        return abs(place - self.front) <= _NEAR

    def advance(self, place: int) -> None:
        """Note that a file beyond the front is read; only the very next file counts for the streak."""
        is_next = place == self.front + 1
        self.early.add(place)
        if len(self.early) >= _LEFT_OUT_AT:
            # The walk skips the files between, so fetching them was useless: trust the walk less.
            self.front = min(self.early) - 1
            self.streak //= 2
        while self.front + 1 in self.early:
            self.front += 1
            self.early.remove(self.front)
        self.streak += is_next

    def go_back(self, place: int) -> None:
        """Trust a walk less that is not recognised yet: random reads may complete a run of files too."""
        if place < self.front and not self.window:
            self.streak //= 2

    @property
    def window(self) -> int:
        """Files to fetch ahead: 0 until the walk is recognised, then twice as many with each file."""
        return min(2 ** (self.streak - RECOGNISED_AT + 1), WINDOW_MAX) if self.streak >= RECOGNISED_AT else 0


class Siblings:
    """Recognises programs that read the files in one order. Not thread-safe."""

    def __init__(self) -> None:
        """Begin before the first read."""
        self._order: Sequence[int] = ()
        self._walks: list[_Walk] = []

    def read(self, resource_id: int, order: Sequence[int]) -> list[int]:
        """The ids of the files to fetch now, the nearest first, when the first bytes of a file are read.

        They include the file itself, if it was not fetched yet. A changed `order` must be a new object.
        """
        if order is not self._order:
            self._reorder(order)
        place = self._place(resource_id)
        if place is None:
            return []
        walk = self._walk_at(place)
        if walk is None:
            self._walks = [*self._walks[1 - _WALKS_MAX :], _Walk(place, place)]
            return []
        if place <= walk.front:
            walk.go_back(place)
            return []
        walk.advance(place)
        first, last = max(walk.ahead + 1, place), min(walk.front + walk.window, len(order) - 1)
        if not walk.window or first > last:
            return []
        walk.ahead = last
        return list(order[first : last + 1])

    def closed(self, resource_id: int, size: int, *, is_whole: bool) -> None:
        """Note that a file of `size` bytes was closed, and whether all of it had been read."""
        walk = self._walk_at(self._place(resource_id))
        if walk is not None:
            walk.close(size, is_whole=is_whole)

    def beginnings(
        self, resource_id: int, size_of: Callable[[int], int | None], small: int, room: int
    ) -> list[Beginning]:
        """What to fetch now of files above `small` bytes, the nearest first, when a file is read.

        Nothing, unless the previous files were read whole. Then the beginnings of the file itself and the
        next ones: as many bytes as `room` allows, but no more than the walk has read.

        Args:
            resource_id: the file that is read.
            size_of: returns the size of a file in bytes; None if unknown.
            small: the size in bytes up to which files are handled by `read`.
            room: bytes that may be fetched ahead of the file.
        """
        place = self._place(resource_id)
        walk = self._walk_at(place)
        if place is None or walk is None or not walk.reads_whole:
            return []
        left, found = min(room, walk.earned), []
        for at in range(place, min(place + WINDOW_MAX, len(self._order))):
            size = size_of(self._order[at])
            if size is None or size <= small:
                continue
            stop = min(size, _MORE_THAN_READ * walk.longest)
            if at > place:
                left -= stop
            if left < 0 or stop <= small:
                break
            if at > walk.begun:
                walk.begun = at
                found.append(Beginning(self._order[at], stop))
        return found

    def _walk_at(self, place: int | None) -> _Walk | None:
        """The latest walk whose front is near that index."""
        if place is None:
            return None
        return next((walk for walk in reversed(self._walks) if walk.is_near(place)), None)

    def _place(self, resource_id: int) -> int | None:
        try:
            return self._order.index(resource_id)
        except ValueError:
            return None

    def _reorder(self, order: Sequence[int]) -> None:
        """Move the walks to the indices that their files have in the new order."""
        before = self._order
        self._order = order
        walks = []
        for walk in self._walks:
            place = self._place(before[walk.front])
            if place is not None:
                moved = place - walk.front
                walks.append(
                    replace(
                        walk,
                        front=place,
                        ahead=walk.ahead + moved,
                        early=set(),
                        begun=walk.begun + moved,
                    )
                )
        self._walks = walks
