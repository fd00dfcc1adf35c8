"""What this process knows of the blocks of a data file: which are right, until somebody changes the file."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

UNKNOWN, VERIFIED, DAMAGED = 0, 1, 2
"""What this process knows of a block."""

_NOT_VERIFIED = bytes.maketrans(bytes((VERIFIED,)), bytes((UNKNOWN,)))


@dataclass(frozen=True, slots=True)
class Shown:
    """By what a data file shows that it is changed."""

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """What a file with this status shows."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class BlockStates:
    """The states of all blocks.

    The lock guards which are set to verified, and what the file has shown; the file is not looked at while it
    is held. Anything else that is set is one operation.
    """

    def __init__(self, count: int, look: Callable[[], Shown]) -> None:
        """Know nothing of `count` blocks; `look` returns what the file shows now, or raises OSError."""
        self.states = bytearray(count)
        """UNKNOWN, VERIFIED or DAMAGED for each block; always the same object."""
        self.shown: Shown | None = None
        """What the file showed at the last look, or after our last change; None before."""
        self._look = look
        self._lock = threading.Lock()

    @property
    def are_verified(self) -> bool:
        """Whether all blocks are verified."""
        return self.states.count(VERIFIED) == len(self.states)

    @property
    def first_unverified(self) -> int:
        """The first block that is not verified; the count of blocks if there is none."""
        return len(self.states) - len(self.states.lstrip(bytes((VERIFIED,))))

    def run(self, first: int, stop: int, state: int) -> int:
        """How many blocks from `first` on, before `stop`, have that state."""
        known = self.states[first:stop]
        return len(known) - len(known.lstrip(bytes((state,))))

    def take_for_verified(self, shown: Shown) -> None:
        """Note that all blocks were right when the file showed this."""
        with self._lock:
            self.shown = shown
            self.states[:] = bytes((VERIFIED,)) * len(self.states)

    def note_verified(self, block: int, shown: Shown | None) -> None:
        """Note that a block, read after the file showed this, was right."""
        with self._lock:
            if self.shown is shown:
                self.states[block] = VERIFIED

    def forget(self, first: int, stop: int) -> None:
        """Know nothing of some blocks any more."""
        self.states[first:stop] = bytes(len(self.states[first:stop]))

    def have_changed(self) -> bool:
        """Whether somebody else has changed the file since the last look; no block is verified then.

        Raises:
            OSError: the disk does not say.
        """
        found = self._look()
        if found == self.shown:
            return False
        with self._lock:
            self.shown = found
            self.states[:] = self.states.translate(_NOT_VERIFIED)
        return True

    def note_own_change(self) -> None:
        """Note that what the file shows now is our own doing.

        Raises:
            OSError: the disk does not say.
        """
        found = self._look()
        with self._lock:
            self.shown = found
