"""The two clocks: one for what expires in the world outside, one for how long a caller waits."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from empirical_fs.errors import Abandoned, DeadlinePassed

_LOOK_SECONDS = 0.1

# Linux counts the time asleep in CLOCK_BOOTTIME alone; a URL expires while a laptop sleeps.
_AGING_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def aging_clock() -> float:
    """Seconds since some fixed moment, suspend counted, never set back."""
    return time.clock_gettime(_AGING_CLOCK)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment on the monotonic clock (suspend not counted) at which a caller stops waiting."""

    at: float
    is_abandoned: Callable[[], bool] | None = None
    """Tells, some times a second while the caller waits, whether it wants to wait any longer."""

    @classmethod
    def after(cls, seconds: float, is_abandoned: Callable[[], bool] | None = None) -> "Deadline":
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds, is_abandoned)

    def until_next_look(self) -> float:
        """Seconds to wait before asking again, above zero: those left, or fewer.

        Raises:
            DeadlinePassed: none are left.
            Abandoned: the caller does not want to wait any longer.
        """
        if self.is_abandoned is None:
            return self.remaining()
        if self.is_abandoned():
            raise Abandoned("the reader does not wait any more")
        return min(self.remaining(), _LOOK_SECONDS)

    def remaining(self) -> float:
        """Seconds left, above zero.

        Raises:
            DeadlinePassed: none are left.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("it could not be had in time")
        return left
