"""The two clocks: one for things that expire on a server, one for how long a caller waits."""

import time
from dataclasses import dataclass
from typing import Self

from empirical_fs.errors import DeadlinePassed

# On Linux only CLOCK_BOOTTIME counts the time of suspend; a signed URL expires while a laptop sleeps.
_AGING_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def aging_clock() -> float:
    """Seconds since some fixed moment, including time in suspend; never set back."""
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
        """Seconds left, above 0.

        Raises:
            DeadlinePassed: no time is left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("it could not be had in time")
        return left

    def left_in_line(self, _since: float, now: float) -> float:
        """Seconds left at `now` for a request that has waited for its turn since `_since` (same clock)."""
        return self.at - now

    def leave_line(self, since: float, now: float) -> None:
        """Note that the request waited for its turn from `since` to `now`; the deadline stays."""


class DeadlineOfWork(Deadline):
    """A deadline that does not count the time in which a request waited for its turn.

    It is for work that no caller waits for, or whose callers have deadlines of their own.
    """

    def left_in_line(self, since: float, _now: float) -> float:
        """Seconds that were left when the wait for the turn began."""
        return self.at - since

    def leave_line(self, since: float, now: float) -> None:
        """Postpone the deadline by the time of the wait."""
        self.at += now - since
