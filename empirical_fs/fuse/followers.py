"""Files that programs follow (`tail -F`): pure policy, whose owner hands in the time."""

import threading
from collections import OrderedDict

FETCHED_MAX = 8 * 2**20
"""Bytes that are fetched for a follower as soon as it opens the file."""
_SECONDS = 60.0
_REMEMBERED_MAX = 256


class Followers:
    """The resources of which a program was told that the version that it has open is over.

    It opens the new version a second later, and reads it from the start another second later. By then the
    store may have one more version, and GNU tail takes an error of a read for the end. The lock guards the
    table.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._told: OrderedDict[int, float] = OrderedDict()

    def told(self, resource_id: int, now: float) -> None:
        """Note that a program heard at `now`, in seconds, that its version is over."""
        with self._lock:
            self._told[resource_id] = now
            self._told.move_to_end(resource_id)
            while len(self._told) > _REMEMBERED_MAX:
                self._told.popitem(last=False)

    def is_followed(self, resource_id: int, now: float) -> bool:
        """Whether a program may open the resource because it follows it."""
        return now - self._told.get(resource_id, float("-inf")) <= _SECONDS
