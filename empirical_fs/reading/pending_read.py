"""A pending read: who waits for it, which parts it needs, and whether it goes on when a part has ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from empirical_fs.errors import ContentChanged, DeadlinePassed, EmpiricalError, ResourceGone, Unavailable
from empirical_fs.reading.cursor import Cursor
from empirical_fs.reading.part import End, Part
from empirical_fs.reading.read_ahead import Range

_LONG_SECONDS = 1.0
_LONG_SHARE = 0.5


class Waiter(Protocol):
    """Receives the outcome of a read: exactly one of its methods is called once, by any thread.

    The methods neither raise nor block.
    """

    def give(self, pieces: list[memoryview]) -> object:
        """Take the bytes, in order, valid until this returns. Fewer only at the end of the content."""

    def fail(self, error: EmpiricalError) -> object:
        """Take the reason why the read failed: ContentChanged if this version no longer exists."""


Cancel = Callable[[], None]
"""Cancels a read whose bytes are no longer wanted; its waiter is not called."""


def nothing() -> None:
    """Cancels a read that has already ended: there is nothing to do."""


class Step(Enum):
    """The state of a read after an attempt to finish it."""

    ENDED = auto()
    WAITS = auto()
    """A part will call it when bytes have arrived."""
    LACKS = auto()
    """A part that it needs has ended early: other parts must bring its bytes."""


@dataclass(eq=False, slots=True)
class PendingRead:
    """One read of a `Reader`; the lock of the `Supply` guards `is_over` and `needed`."""

    cursor: Cursor
    extent: Range
    waiter: Waiter
    needed: list[Part]
    new: list[Part]
    """The parts, needed or read ahead, whose fetch this read began."""
    waited: bool
    began_download: bool = False
    """Whether a fetch that this read began turned into a download of the whole content."""
    is_over: bool = False
    waits_for: Part | None = None
    go_on: Callable[[], None] = nothing
    """Called when its bytes may have arrived."""
    begun: float = field(default_factory=time.monotonic)

    def check_end(self, part: Part, download_failure: EmpiricalError | None) -> None:
        """Return if the read can go on with other parts, although a part that it needs has ended.

        Args:
            part: the part that has ended.
            download_failure: why the download of the whole content failed; None if it has not.

        Raises:
            EmpiricalError: the read cannot go on: a fetch that it began, or waited for long, failed, or no
                fetch can succeed.
        """
        if part.end is End.REPLACED:
            self.began_download |= part in self.new
            if self.began_download and download_failure is not None:
                raise download_failure
        # Another read's fetch failed, perhaps long ago: that must not fail this read, which fetches anew.
        is_ours = part in self.new or self.began_download or self._has_waited_for(part)
        if part.failure is not None and (is_ours or isinstance(part.failure, ContentChanged | ResourceGone)):
            raise part.failure

    def _has_waited_for(self, part: Part) -> bool:
        """Whether a fetch got no answer in a long time, most of which this read has waited with it.

        Otherwise, of many reads that wait for a silent store, each would fail with a fetch of its own.
        """
        long = max(_LONG_SECONDS, part.lasted * _LONG_SHARE)
        is_of_time = isinstance(part.failure, Unavailable | DeadlinePassed)
        return is_of_time and part.lasted >= _LONG_SECONDS and time.monotonic() - self.begun >= long
