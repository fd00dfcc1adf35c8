"""Reads of an open file that failed a moment ago, which the kernel asks for again: pure policy, no clock.

A read that fails by the kernel's read-ahead is asked for once more, page by page, for each program that waits
for one (filemap_read_folio in Linux). To the program it is one read, which has one deadline.
"""

from dataclasses import dataclass, field

from empirical_fs.errors import ApiUnavailable, DeadlinePassed, EmpiricalError, StoreUnavailable

_MOMENT_SECONDS = 1.0
"""The kernel asks again at once, but the machine may be busy."""
_REMEMBERED_MAX = 64
_WORTH_TRYING_SHARE = 0.1
_OF_TIME = (ApiUnavailable, DeadlinePassed, StoreUnavailable)
"""Errors that may have taken all the time; others say what the answer is, and are found again at once."""


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

    def is_worth_trying(self, now: float, timeout: float) -> bool:
        """Whether enough of the `timeout` of a read is left to try again."""
        return self.deadline - now >= timeout * _WORTH_TRYING_SHARE

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

    def note(self, start: int, stop: int, at: float, deadline: float, error: EmpiricalError) -> None:
        """Remember for a moment that a read failed, unless that cannot have taken its time."""
        if isinstance(error, _OF_TIME):
            failure = Failure(start, stop, at, deadline, error)
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
