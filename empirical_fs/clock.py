"""The two clocks: one for what expires in the world outside, one for how long a caller waits."""

import time
from dataclasses import dataclass

from empirical_fs.errors import DeadlinePassed

# Linux counts the time asleep in CLOCK_BOOTTIME alone; a URL expires while a laptop sleeps.
_AGING_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def aging_clock() -> float:
    """Seconds since some fixed moment, suspend counted, never set back."""
    return time.clock_gettime(_AGING_CLOCK)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment on the monotonic clock (suspend not counted) at which a caller stops waiting."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
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
