"""Reads of an open file that failed a moment ago, which the kernel asks for again: pure policy, no clock.

A read that fails by the kernel's read-ahead is asked for once more, page by page, for each program that waits
for one (filemap_read_folio in Linux). To the program it is one read, which has one deadline.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from empirical_fs.errors import ApiUnavailable, DeadlinePassed, EmpiricalError, OutOfReach, StoreUnavailable

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


class FailuresOfOthers:
    """Reads that failed a moment ago, for those who read the same through files that they had opened before.

    The kernel has one of them ask at a time, while the others wait for the same page (filemap_update_page in
    Linux): each would wait as long again. The lock guards the table.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._latest: OrderedDict[Hashable, Failure] = OrderedDict()

    def note(self, content: Hashable, failure: Failure) -> None:
        """Remember for a moment that a read of `content` failed, unless that cannot have taken its time."""
        if isinstance(failure.error, (*_OF_TIME, OutOfReach)):
            with self._lock:
                self._latest[content] = failure
                self._latest.move_to_end(content)
                while len(self._latest) > _REMEMBERED_MAX:
                    self._latest.popitem(last=False)

    def of(self, content: Hashable, start: int, stop: int, opened_at: float, now: float) -> Failure | None:
        """The failure for which a file that was opened at `opened_at` may have waited for these bytes."""
        failure = self._latest.get(content)
        if failure is None or now - failure.at > _MOMENT_SECONDS or opened_at > failure.at:
            return None
        return failure if start < failure.stop and failure.start < stop else None


@dataclass(slots=True)
class Failures:
    """Those of one open file. Moments are in seconds.

    No lock: each step is one operation on a list, which Python serialises.
    """

    _latest: list[Failure] = field(default_factory=list)

    def note(self, failure: Failure) -> None:
        """Remember for a moment that a read failed, unless that cannot have taken its time."""
        if isinstance(failure.error, _OF_TIME):
            self._latest = [*self._latest[1 - _REMEMBERED_MAX :], failure]

    def has(self, start: int, stop: int, now: float) -> bool:
        """Whether a read of these bytes failed a moment ago."""
        return any(
            now - each.at <= _MOMENT_SECONDS and start < each.stop and each.start < stop
            for each in self._latest
        )

    def take(self, start: int, stop: int, now: float) -> Failure | None:
        """The failure of the read that a request for the bytes from `start` on belongs to, if it does."""
        for failure in reversed(self._latest):
            if now - failure.at > _MOMENT_SECONDS:
                return None
            if failure.covers(start, stop):
                failure.again.append((start, stop))
                return failure
        return None
