"""An order in which programs walk the directory, and the position of each file in it."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload


class WalkOrder(Sequence[int]):
    """The ids of files, in the order of their keys; immutable.

    The position of a file is found by binary search: a table of all positions would take long to build and to
    free each time that the directory changes, and reads would wait for it.
    """

    def __init__(self, ids: Iterable[int], keys: Sequence[Any], key_of: Callable[[int], Any | None]) -> None:
        """Store `ids`, whose `keys` ascend; `key_of` gives the key of an id, None for an unknown one."""
        self._ids = array("q", ids)
        self._keys = keys
        self._key_of = key_of

    def __len__(self) -> int:
        """The number of files."""
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        """The id at a position, or the ids of a slice."""
        return self._ids[place]

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """The position of an id.

        Raises:
            ValueError: it is not in the order.
        """
        key = self._key_of(value)
        if key is None:
            raise ValueError(value)
        place = bisect_left(self._keys, key, start, len(self._ids) if stop is None else stop)
        if place >= len(self._ids) or self._ids[place] != value:
            raise ValueError(value)
        return place
