"""The two clocks: one for what expires in the world outside, one for how long a caller waits."""

import time
from dataclasses import dataclass
from typing import Self

from empirical_fs.errors import DeadlinePassed

# Linux counts the time asleep in CLOCK_BOOTTIME alone; a URL expires while a laptop sleeps.
_AGING_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def aging_clock() -> float:
    """Seconds since some fixed moment, suspend counted, never set back."""
    return time.clock_gettime(_AGING_CLOCK)


@dataclass(slots=True)
class Deadline:
    """The moment on the monotonic clock (suspend not counted) at which a caller stops waiting."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, above zero.

        Raises:
            DeadlinePassed: none are left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("it could not be had in time")
        return left

    def left_in_line(self, _since: float, now: float) -> float:
        """Seconds left at `now` for one who waits for its turn since a moment of the same clock."""
        return self.at - now

    def leave_line(self, since: float, now: float) -> None:
        """Take note that somebody waited for its turn."""


class DeadlineOfWork(Deadline):
    """One that does not count the time in which others had their turn.

    For work whose outcome others wait for, with deadlines of their own, or nobody waits for.
    """

    def left_in_line(self, since: float, _now: float) -> float:
        """As many as there were when the wait began."""
        return self.at - since

    def leave_line(self, since: float, now: float) -> None:
        """Be later by that time."""
        self.at += now - since
