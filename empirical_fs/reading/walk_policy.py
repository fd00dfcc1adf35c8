"""Which files to fetch ahead of a directory walk: pure policy, without I/O or a clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WINDOW_MAX = 64
"""Files ahead of a walk at most."""

RECOGNISED_AT = 3
"""Files that must be read one after another before any is fetched ahead."""

_NEAR = 8
"""Files by which parallel readers get out of order, or which a walk leaves out."""

_LEFT_OUT_AT = 3
_WALKS_MAX = 4


@dataclass(slots=True)
class _Walk:
    """A run of files, by their places in the order."""

    front: int
    """The last of the files that were read without a gap."""
    ahead: int
    """The last that was fetched ahead."""
    streak: int = 1
    early: set[int] = field(default_factory=set)
    """Files beyond the front that were read before their turn."""

    def is_near(self, place: int) -> bool:
        return abs(place - self.front) <= _NEAR

    def advance(self, place: int) -> None:
        """Go on to a file beyond the front; only the very next one is a success."""
        is_next = place == self.front + 1
        self.early.add(place)
        if len(self.early) >= _LEFT_OUT_AT:
            # The files between are left out, so what was fetched of them was in vain.
            self.front = min(self.early) - 1
            self.streak //= 2
        while self.front + 1 in self.early:
            self.front += 1
            self.early.remove(self.front)
        self.streak += is_next

    def go_back(self, place: int) -> None:
        """Doubt a walk that is not recognised yet: reads here and there fill a run of files too."""
        if place < self.front and not self.window:
            self.streak //= 2

    @property
    def window(self) -> int:
        """Files to have ahead: none until the walk is recognised, then twice as many with each file."""
        return min(2 ** (self.streak - RECOGNISED_AT + 1), WINDOW_MAX) if self.streak >= RECOGNISED_AT else 0


class Siblings:
    """Recognises readers that go through the files in one order. Not safe between threads."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._order: Sequence[int] = ()
        self._places: Mapping[int, int] = {}
        self._walks: list[_Walk] = []

    def read(self, resource_id: int, order: Sequence[int]) -> list[int]:
        """The ids of the files to fetch now, the nearest first, when the first bytes of one are read.

        The file itself is among them, if it is not fetched yet. A changed `order` is another object.
        """
        if order is not self._order:
            self._reorder(order)
        place = self._places.get(resource_id)
        if place is None:
            return []
        walk = next((walk for walk in reversed(self._walks) if walk.is_near(place)), None)
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

    def _reorder(self, order: Sequence[int]) -> None:
        """Go on with the walks at the places that their files have now."""
        before = self._order
        self._order, self._places = order, {each: place for place, each in enumerate(order)}
        walks = []
        for walk in self._walks:
            place = self._places.get(before[walk.front])
            if place is not None:
                walks.append(_Walk(place, place + walk.ahead - walk.front, walk.streak))
        self._walks = walks
