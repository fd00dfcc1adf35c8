"""Remembers facts about the most recently used servers only, since their number has no bound.

A server on the network may give each resource a URL with a different host name.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

SERVERS_MAX = 256
"""How many servers are remembered at most; a project commonly has two."""

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def never(_value: object) -> bool:
    """The default of `is_in_use`: any value may be dropped."""
    return False


class LruTable(Generic[_Key, _Value]):
    """A table that drops the least recently used values when it is full. The lock guards it.

    It is not a cache of cachetools because that would also drop values that are in use.
    """

    def __init__(self, is_in_use: Callable[[_Value], bool] = never, most: int = SERVERS_MAX) -> None:
        """Keep at most `most` values, and in addition all that are in use according to `is_in_use`."""
        self._is_in_use = is_in_use
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def __len__(self) -> int:
        """The number of values."""
        return len(self._values)

    def get(self, key: _Key) -> _Value | None:
        """The value of a key, or None; marks it as used."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def peek(self, key: _Key) -> _Value | None:
        """The value of a key, or None; does not mark it as used."""
        return self._values.get(key)

    def get_or_put(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """Like `get`, but `make` makes the value if there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
                return value
            value = make()
            self._put(key, value)
            return value

    def put(self, key: _Key, value: _Value) -> None:
        """Store a value; it replaces an older one."""
        with self._lock:
            self._put(key, value)

    def drop(self, key: _Key) -> None:
        """Remove the value of a key, if there is one."""
        with self._lock:
            self._values.pop(key, None)

    def items(self) -> list[tuple[_Key, _Value]]:
        """All keys and values, the most recently used last."""
        with self._lock:
            return list(self._values.items())

    def _put(self, key: _Key, value: _Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            over = next((each for each, kept in self._values.items() if not self._is_in_use(kept)), None)
            # If all others are in use, this is the new value, which is about to be used.
            if over is not None and over != key:
                del self._values[over]
