"""Remembers which files were verified by this process, after they were closed."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from empirical_fs.cache.block_states import Shown

SAME_MOMENT = 1.0
"""Seconds within which two changes of a file may leave it with the same time."""
_REMEMBERED = 4096
"""How many versions are remembered."""
_REMEMBERED_SECONDS = 600.0
"""For how long: meanwhile the disk may have become unable to read what is no longer in memory."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a data file shows that nobody has changed it."""

    device: int
    inode: int
    shown: Shown

    @classmethod
    def of(cls, found: os.stat_result, now: float) -> "Stamp | None":
        """The stamp of a file with this status; None if it changed just now (`now` in s since the epoch)."""
        if now - max(found.st_mtime, found.st_ctime) < SAME_MOMENT:
            return None
        return cls(found.st_dev, found.st_ino, Shown.of(found))


class VerifiedFiles:
    """The stamps of data files in which this process has verified every block. The lock guards them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with none; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._since = OrderedDict[object, tuple[Stamp, float]]()
        """With when they were opened for that; the oldest first."""

    def note(self, key: object, stamp: Stamp, since: float) -> None:
        """Note that the files of a version, opened at `since`, are verified."""
        with self._lock:
            self._since[key] = stamp, since
            self._since.move_to_end(key)
            while len(self._since) > _REMEMBERED:
                self._since.popitem(last=False)

    def since(self, key: object, stamp: Stamp | None) -> float | None:
        """When the files of a version were opened in which all was verified; None if that is not so."""
        with self._lock:
            found = self._since.get(key)
        if found is None or found[0] != stamp or self._clock() - found[1] >= _REMEMBERED_SECONDS:
            return None
        return found[1]
