"""Reads of an open file that failed a moment ago, which the kernel repeats: pure policy, no clock.

When a read of the kernel's read-ahead fails, the kernel requests its pages once more, one by one, for each
program that waits for a page (filemap_read_folio in Linux). To the program it is one read with one deadline.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from empirical_fs.errors import ApiUnavailable, DeadlinePassed, EmpiricalError, OutOfReach, StoreUnavailable

_MOMENT_SECONDS = 1.0
"""How long a failure is remembered: the kernel repeats the read at once, but the machine may be busy."""
_REMEMBERED_MAX = 64
_WORTH_TRYING_SHARE = 0.1
_OF_TIME = (ApiUnavailable, DeadlinePassed, StoreUnavailable)
"""Errors that may have used up the deadline; others come at once when the read is repeated."""


@dataclass(slots=True)
class Failure:
    """A read that failed."""

    start: int
    stop: int
    at: float
    """When it failed, in seconds."""
    deadline: float
    """The deadline of the read, in seconds."""
    error: EmpiricalError
    again: list[tuple[int, int]] = field(default_factory=list)
    """The ranges that were requested again; a third request for them is a new read."""

    def is_worth_trying(self, now: float, timeout: float) -> bool:
        """Whether at least a tenth of the `timeout` of a read is left, so that another try makes sense."""
        return self.deadline - now >= timeout * _WORTH_TRYING_SHARE

    def covers(self, start: int, stop: int) -> bool:
        """Whether the range overlaps this read, and was not requested again yet."""
        return (
            start < self.stop
            and self.start < stop
            and not any(start < last and first < stop for first, last in self.again)
        )


class FailuresOfOthers:
    """Reads that failed a moment ago, for other open files of the same content.

    If several programs read the same page, the kernel sends the read of one at a time, and the others wait
    (filemap_update_page in Linux): each would then wait as long again. The lock guards the table.
    """

    def __init__(self) -> None:
        """Begin without failures."""
        self._lock = threading.Lock()
        self._latest: OrderedDict[Hashable, Failure] = OrderedDict()

    def note(self, content: Hashable, failure: Failure) -> None:
        """Remember for a moment that a read of `content` failed, if it may have used up its deadline."""
        if isinstance(failure.error, (*_OF_TIME, OutOfReach)):
            with self._lock:
                self._latest[content] = failure
                self._latest.move_to_end(content)
                while len(self._latest) > _REMEMBERED_MAX:
                    self._latest.popitem(last=False)

    def of(self, content: Hashable, start: int, stop: int, opened_at: float, now: float) -> Failure | None:
        """The failure that a read of these bytes has waited for, in a file opened at `opened_at`; or None."""
        failure = self._latest.get(content)
        if failure is None or now - failure.at > _MOMENT_SECONDS or opened_at > failure.at:
            return None
        return failure if start < failure.stop and failure.start < stop else None


@dataclass(slots=True)
class Failures:
    """The failed reads of one open file. Times are in seconds.

    No lock is needed: each step is one operation on a list, which Python serialises.
    """

    _latest: list[Failure] = field(default_factory=list)

    def note(self, failure: Failure) -> None:
        """Remember for a moment that a read failed, if it may have used up its deadline."""
        if isinstance(failure.error, _OF_TIME):
            self._latest = [*self._latest[1 - _REMEMBERED_MAX :], failure]

    def has(self, start: int, stop: int, now: float) -> bool:
        """Whether a read of these bytes failed a moment ago."""
        return any(
            now - each.at <= _MOMENT_SECONDS and start < each.stop and each.start < stop
            for each in self._latest
        )

    def take(self, start: int, stop: int, now: float) -> Failure | None:
        """The failed read that a request for this range repeats, which is noted; None for a new read."""
        for failure in reversed(self._latest):
            if now - failure.at > _MOMENT_SECONDS:
                return None
            if failure.covers(start, stop):
                failure.again.append((start, stop))
                return failure
        return None
