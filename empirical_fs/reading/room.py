"""Whether there is room on the local disk for a whole file: asked before it is fetched again."""

import time
from collections.abc import Callable

from empirical_fs.errors import SpoolFailed
from empirical_fs.reading.buffers import has_room

_FULL_SECONDS = 30.0
"""After so long the server is asked again: it may send ranges by now."""
_DOUBTFUL_SECONDS = 5.0
"""The same where there seemed to be room: a quota, or somebody else's file, shows in no number."""


class Room:
    """What one content could not be kept for. Not safe between threads; its owner serialises."""

    def __init__(
        self, has_room: Callable[[int], bool] = has_room, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing has failed; `has_room` says whether so many bytes fit, `clock` tells seconds."""
        self._has_room = has_room
        self._clock = clock
        self._needed = 0
        self._is_doubtful = False
        self._until = float("-inf")

    def failed(self, size: int) -> None:
        """Take note that so many bytes could not be kept, and perhaps more that belong to them."""
        self._needed = max(self._needed, size)
        self._is_doubtful = self._has_room(self._needed)
        self._until = self._clock() + (_DOUBTFUL_SECONDS if self._is_doubtful else _FULL_SECONDS)

    def check(self) -> None:
        """Let what has failed for want of room be fetched again only if there is some.

        Raises:
            SpoolFailed: there is none.
        """
        if self._clock() < self._until and (self._is_doubtful or not self._has_room(self._needed)):
            raise no_room(self._needed)

    def take(self, size: int) -> None:
        """See whether there is room for so many bytes, before they come.

        Raises:
            SpoolFailed: there is none.
        """
        if not self._has_room(size):
            self.failed(size)
            raise no_room(size)


def no_room(size: int) -> SpoolFailed:
    """The error that says so."""
    return SpoolFailed(
        f"no room for {size} bytes in TMPDIR, or /var/tmp: the server does not send parts of files"
    )
