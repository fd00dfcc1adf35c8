"""Recognises files that programs follow (`tail -F`): pure policy; the caller passes the time."""

import threading
from collections import OrderedDict

FETCHED_MAX = 8 * 2**20
"""Bytes that are fetched for a follower as soon as it opens the file."""
_SECONDS = 60.0
_REMEMBERED_MAX = 256


class FollowedFiles:
    """The resources of which a program was told, by an error, that the version it has open is over.

    A program that follows the file opens the new version a second later, and reads it from the start another
    second later. By then the store may have yet another version, and GNU tail takes a read error for the end
    of the file. So the new version is fetched as soon as it is opened. The lock guards the table.
    """

    def __init__(self) -> None:
        """Begin without followed files."""
        self._lock = threading.Lock()
        self._told: OrderedDict[int, float] = OrderedDict()

    def told(self, resource_id: int, now: float) -> None:
        """Note that a program was told at `now`, in seconds, that its version is over."""
        with self._lock:
            self._told[resource_id] = now
            self._told.move_to_end(resource_id)
            while len(self._told) > _REMEMBERED_MAX:
                self._told.popitem(last=False)

    def is_followed(self, resource_id: int, now: float) -> bool:
        """Whether an open of the resource may come from a program that follows it."""
        return now - self._told.get(resource_id, float("-inf")) <= _SECONDS
