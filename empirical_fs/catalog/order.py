"""An order in which programs go through the directory, and the place of each file in it."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload


class Order(Sequence[int]):
    """The ids of files, in the order of their keys; immutable.

    The place of a file is searched for: a table of all of them would take a while to make, and to give back,
    each time that the directory changes, and somebody's read would wait for it.
    """

    def __init__(self, ids: Iterable[int], keys: Sequence[Any], key_of: Callable[[int], Any | None]) -> None:
        """Keep `ids`, whose `keys` ascend; `key_of` gives the key of an id, None of one that is unknown."""
        self._ids = array("q", ids)
        self._keys = keys
        self._key_of = key_of

    def __len__(self) -> int:
        """How many files there are."""
        return len(self._ids)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        """The id at a place, or those at several."""
        return self._ids[place]

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """The place of an id.

        Raises:
            ValueError: it is not here.
        """
        key = self._key_of(value)
        if key is None:
            raise ValueError(value)
        place = bisect_left(self._keys, key, start, len(self._ids) if stop is None else stop)
        if place >= len(self._ids) or self._ids[place] != value:
            raise ValueError(value)
        return place
