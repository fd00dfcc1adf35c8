"""Reads of an open file that failed a moment ago, which the kernel asks for again: pure policy, no clock.

A read that fails by the kernel's read-ahead is asked for once more, page by page, for each program that waits
for one (filemap_read_folio in Linux). To the program it is one read, which has one deadline.
"""

from dataclasses import dataclass, field

from empirical_fs.errors import EmpiricalError

_MOMENT_SECONDS = 1.0
"""The kernel asks again at once, but the machine may be busy."""
_REMEMBERED_MAX = 64


@dataclass(slots=True)
class Failure:
    """A read that failed."""

    start: int
    stop: int
    at: float
    """When it failed."""
    deadline: float
    """Until when it might have gone on."""
    error: EmpiricalError
    again: list[tuple[int, int]] = field(default_factory=list)
    """What was asked for again, and is not part of the same read when it is asked for a third time."""

    def covers(self, start: int, stop: int) -> bool:
        """Whether bytes are of this read, and were not asked for again yet."""
        return (
            start < self.stop
            and self.start < stop
            and not any(start < last and first < stop for first, last in self.again)
        )


@dataclass(slots=True)
class Failures:
    """Those of one open file. Moments are in seconds.

    No lock: each step is one operation on a list, which Python serialises.
    """

    _latest: list[Failure] = field(default_factory=list)

    def note(self, failure: Failure) -> None:
        """Remember a failure for a moment."""
        self._latest = [*self._latest[1 - _REMEMBERED_MAX :], failure]

    def take(self, start: int, stop: int, now: float) -> Failure | None:
        """The failure of the read that a request for the bytes from `start` on belongs to, if it does."""
        for failure in reversed(self._latest):
            if now - failure.at > _MOMENT_SECONDS:
                return None
            if failure.covers(start, stop):
                failure.again.append((start, stop))
                return failure
        return None
