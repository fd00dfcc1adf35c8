"""Decides whether opens still wait for the store, which may be out of reach; pure policy.

An open asks the store whether a file is still what it was, and goes on without an answer after a while. In an
outage, each open of another file would wait as long. So after one open got no answer, others do not wait.
"""

import time
from collections.abc import Callable

_LONG_SECONDS = 1.0
"""A failure that comes earlier costs an open little, and may be of one file only."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0


class StoreBackoff:
    """Whether an open has lately waited for the store without getting an answer.

    No lock is needed: a wrong moment, where threads meet, costs one open a wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a store that answers; `clock` gives seconds."""
        self._clock = clock
        self._until = float("-inf")
        self._pause = _FIRST_PAUSE

    @property
    def is_active(self) -> bool:
        """Whether opens must not wait for the store at the moment."""
        return self._clock() < self._until

    def answered(self) -> None:
        """Note that the store has answered."""
        self._until, self._pause = float("-inf"), _FIRST_PAUSE

    def unanswered(self, seconds: float) -> None:
        """Note that an open has waited so many seconds without an answer."""
        if seconds >= _LONG_SECONDS and not self.is_active:
            self._until = self._clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
