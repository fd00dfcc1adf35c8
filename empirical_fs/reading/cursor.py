"""Where one handle reads in a content, and the short way to bytes that are at hand."""

from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import ReadAhead

_CHECKPOINT_MIN, _CHECKPOINT_MAX = 512 * 2**10, 2 * 2**20
"""Bytes of a part that are read without asking the policy: half of it, within these bounds."""

Taken = tuple[Part, list[memoryview]]
"""Where bytes lie, and the part that they are to be given back to."""


class Cursor:
    """Where one handle reads. Its reader's lock guards it, but for the shortcut."""

    def __init__(self, size: int) -> None:
        """Begin in a content of `size` bytes."""
        self.policy = ReadAhead(size)
        self.waited = False
        """Whether the last read had to wait for bytes."""
        self._shortcut: tuple[Part, int] | None = None

    def take_ready(self, start: int, stop: int) -> Taken | None:
        """The bytes from the part that was read last; not where the policy is to hear of the read.

        Takes no lock but the part's: most reads of a stream end here.
        """
        shortcut = self._shortcut
        if shortcut is None or stop > shortcut[1]:
            return None
        part = shortcut[0]
        try:
            pieces = part.take(start, stop)
        except OSError:
            return None  # the long way tells what is wrong
        return None if pieces is None else (part, pieces)

    def allow_shortcut(self, part: Part, stop: int) -> None:
        """Serve the reads after `stop` from `part`, until it is time to plan."""
        self._shortcut = (part, stop + min(max(part.size // 2, _CHECKPOINT_MIN), _CHECKPOINT_MAX))
