"""A read under way: who waits for it, what it needs, and whether it goes on where a part has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from empirical_fs.errors import ContentChanged, EmpiricalError, ResourceGone
from empirical_fs.reading.cursor import Cursor
from empirical_fs.reading.part import End, Part
from empirical_fs.reading.read_ahead import Range


class Waiter(Protocol):
    """Who reads, and is told once how that ended, by any thread; it does not raise, nor wait."""

    def give(self, pieces: list[memoryview]) -> object:
        """The bytes, one piece after the other, until this returns: fewer only at the end of the content."""

    def fail(self, error: EmpiricalError) -> object:
        """Why they cannot be read: ContentChanged where the content is no longer there."""


Cancel = Callable[[], None]
"""Ends a read for whose bytes nobody waits any more; nobody is told."""


def nothing() -> None:
    """Ends a read that is over."""


class Step(Enum):
    """How far a read came."""

    ENDED = auto()
    WAITS = auto()
    """It is called back."""
    LACKS = auto()
    """A part that it needs has ended: others are to bring its bytes."""


@dataclass(eq=False, slots=True)
class PendingRead:
    """One read of a reader, whose lock guards whether it is over, and what it needs."""

    cursor: Cursor
    extent: Range
    waiter: Waiter
    needed: list[Part]
    new: list[Part]
    """Those of them, and of what is ahead, whose fetch this read began."""
    waited: bool
    began_download: bool = False
    """Whether a fetch that this read began brought the whole content in place of a part."""
    is_over: bool = False
    waits_for: Part | None = None
    go_on: Callable[[], None] = nothing
    """Told when it may have its bytes."""

    def check_end(self, part: Part, download_failure: EmpiricalError | None) -> None:
        """See whether this goes on although a part that it needs has ended, by other parts.

        Args:
            part: the part that has ended.
            download_failure: why the download of the whole content failed, if it has.

        Raises:
            EmpiricalError: it does not: its own fetch failed, or nobody's can succeed.
        """
        if part.end is End.REPLACED:
            self.began_download |= part in self.new
            if self.began_download and download_failure is not None:
                raise download_failure
        # Somebody else's fetch failed, long ago perhaps: it is not for us to fail by that.
        is_ours = part in self.new or self.began_download
        if part.failure is not None and (is_ours or isinstance(part.failure, ContentChanged | ResourceGone)):
            raise part.failure
