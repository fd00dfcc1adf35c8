"""Where one handle reads in a content, and a fast path to bytes that have arrived."""

from typing import Protocol

from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import Policy, ReadAhead

_CHECKPOINT_MIN, _CHECKPOINT_MAX = 512 * 2**10, 2 * 2**20
"""Bytes read from a part without consulting the policy: half the part's size, within these bounds."""


class Lender(Protocol):
    """The object that bytes were taken from, which keeps them until it gets them back."""

    def give_back(self) -> None:
        """Note that the bytes are not used any more, so that their memory may be released."""


Taken = tuple[Lender, list[memoryview]]
"""Bytes, and the object whose `give_back` must be called afterwards."""


class Cursor:
    """Where one handle reads. The lock of the `Supply` guards it, except the shortcut."""

    def __init__(self, size: int) -> None:
        """Begin in a content of `size` bytes."""
        self.policy: Policy = ReadAhead(size)
        self.waited = False
        """Whether the last read had to wait for bytes."""
        self._shortcut: tuple[Part, int] | None = None

    def take_ready(self, start: int, stop: int) -> Taken | None:
        """The bytes, if they are in the part that was read last; None if not, or if it is time to plan.

        Takes only the part's lock: most reads of a stream are answered here.
        """
        shortcut = self._shortcut
        if shortcut is None or stop > shortcut[1]:
            return None
        part = shortcut[0]
        try:
            pieces = part.take(start, stop)
        except OSError:
            return None  # the normal path reports the error
        return None if pieces is None else (part, pieces)

    def allow_shortcut(self, part: Part, stop: int) -> None:
        """Answer reads after `stop` from `part` without planning, up to the next checkpoint."""
        self._shortcut = (part, stop + min(max(part.size // 2, _CHECKPOINT_MIN), _CHECKPOINT_MAX))
