"""Checks whether the local disk has room for a whole file, before it is fetched again."""

import time
from collections.abc import Callable

from empirical_fs.errors import SpoolFailed
from empirical_fs.reading.buffers import has_room

_FULL_SECONDS = 30.0
"""After this time the server is asked again, since it may send ranges by then."""
_DOUBTFUL_SECONDS = 5.0
"""The same if the disk seemed to have room: a quota, or another program's file, shows in no number."""


class SpoolSpace:
    """Remembers that a content did not fit on the disk. Not thread-safe; the owner serialises calls."""

    def __init__(
        self, has_room: Callable[[int], bool] = has_room, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without a failure; `has_room` tells whether that many bytes fit, `clock` returns seconds."""
        self._has_room = has_room
        self._clock = clock
        self._needed = 0
        self._is_doubtful = False
        self._until = float("-inf")

    def failed(self, size: int) -> None:
        """Note that `size` bytes could not be kept; the file that they belong to may need more."""
        self._needed = max(self._needed, size)
        self._is_doubtful = self._has_room(self._needed)
        self._until = self._clock() + (_DOUBTFUL_SECONDS if self._is_doubtful else _FULL_SECONDS)

    def check(self) -> None:
        """Return if a fetch that failed for lack of disk space may be tried again.

        Raises:
            SpoolFailed: there is still no room.
        """
        if self._clock() < self._until and (self._is_doubtful or not self._has_room(self._needed)):
            raise no_room(self._needed)

    def take(self, size: int) -> None:
        """Return if there is room for `size` bytes; called before they arrive.

        Raises:
            SpoolFailed: there is no room.
        """
        if not self._has_room(size):
            self.failed(size)
            raise no_room(size)


def no_room(size: int) -> SpoolFailed:
    """The error for a disk without room for `size` bytes."""
    return SpoolFailed(
        f"no room for {size} bytes in TMPDIR, or /var/tmp: the server does not send parts of files"
    )
