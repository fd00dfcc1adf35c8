"""How long things took, as a histogram: few numbers however many there were."""

from bisect import bisect_left
from dataclasses import dataclass

BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""The upper bounds of the buckets in seconds, each included; a last bucket has what took longer. From a store
in the same building to the default deadline of a read, three to each power of ten or so."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A histogram at one moment."""

    buckets: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    """How many took up to each of `BOUNDS`, and longer than the one before it; the last: longer than all."""
    seconds: float = 0.0
    """The sum of all."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)


class Histogram:
    """Collects durations. Not thread-safe: a lock of the owner guards it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count something that took so long; a negative number, of a clock that went back, is 0."""
        seconds = max(seconds, 0.0)
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def durations(self) -> Durations:
        """A snapshot."""
        return Durations(tuple(self._buckets), self._seconds)
