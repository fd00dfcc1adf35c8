"""What is remembered of servers: of those that were asked last, for their number has no bound.

A server on the network may give each resource a URL with another host name.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

SERVERS_MAX = 256
"""Servers of which something is remembered, at most; a project commonly has two."""

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


def never(_value: object) -> bool:
    """Nothing that is remembered is in use."""
    return False


class Recent(Generic[_Key, _Value]):
    """Values by keys, of which those that were not used for longest are dropped. The lock guards them.

    Not a cache of cachetools, which would drop what is in use, too.
    """

    def __init__(self, is_in_use: Callable[[_Value], bool] = never, most: int = SERVERS_MAX) -> None:
        """Keep `most` values, and all for which `is_in_use` says that they must not be dropped."""
        self._is_in_use = is_in_use
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[_Key, _Value] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def get(self, key: _Key) -> _Value | None:
        """The value of a key, which is used by that."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def peek(self, key: _Key) -> _Value | None:
        """The same without using it."""
        return self._values.get(key)

    def get_or_put(self, key: _Key, make: Callable[[], _Value]) -> _Value:
        """As `get`; the value is made where there is none."""
        with self._lock:
            value = self._values.get(key)
            if value is None:
                value = make()
            self._put(key, value)
            return value

    def put(self, key: _Key, value: _Value) -> None:
        """Keep a value in place of the one before."""
        with self._lock:
            self._put(key, value)

    def drop(self, key: _Key) -> None:
        """Keep a value no longer, if there is one."""
        with self._lock:
            self._values.pop(key, None)

    def items(self) -> list[tuple[_Key, _Value]]:
        """All that there are, used last at the end."""
        with self._lock:
            return list(self._values.items())

    def _put(self, key: _Key, value: _Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            over = next((each for each, kept in self._values.items() if not self._is_in_use(kept)), None)
            # The new one may be the only one that is not in use, and is about to be.
            if over is not None and over != key:
                del self._values[over]
