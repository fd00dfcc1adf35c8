"""Reads whose program was interrupted by a signal that it handles: they go on, since it will read again."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from empirical_fs.work.timer import Alarm, Timer

_SECONDS = 10.0
"""How long such a read goes on, and its bytes are kept."""
_MOST = 16
"""The most such reads; beyond that the oldest ends."""


class Read(Protocol):
    """A read that nobody waits for at the moment."""

    @property
    def file(self) -> Hashable:
        """The open file that it reads."""

    @property
    def content(self) -> object:
        """The content that it reads."""

    @property
    def offset(self) -> int:
        """The offset of its first byte."""

    @property
    def size(self) -> int:
        """How many bytes it requested."""

    def cancel(self) -> None:
        """Cancel the fetches that it began."""


@dataclass(slots=True)
class _Interrupted:
    """The alarm that ends one such read, and its bytes once they have arrived."""

    alarm: Alarm
    data: bytes | None = None


class InterruptedReads:
    """Interrupted reads that go on, for a bounded time and in a bounded number.

    If signals come faster than the store answers, a program would make no progress if each try began from
    nothing (for example, Go's runtime interrupts its own threads). The lock guards all fields; no read is
    cancelled while it is held.
    """

    def __init__(self, timer: Timer) -> None:
        """Begin without such reads."""
        self._timer = timer
        self._lock = threading.Lock()
        self._reads: OrderedDict[Read, _Interrupted] = OrderedDict()

    def add(self, read: Read) -> None:
        """Let `read` go on: when its bytes arrive, they are kept for the next read of them."""
        alarm = self._timer.after(_SECONDS, partial(self._end, [read]))
        with self._lock:
            self._reads[read] = _Interrupted(alarm)
            over = list(self._reads)[:-_MOST]
        self._end(over)

    def arrived(self, read: Read, pieces: list[memoryview]) -> None:
        """Keep the bytes of a read; `pieces` are valid until this returns."""
        with self._lock:
            interrupted = self._reads.get(read)
            if interrupted is not None:
                interrupted.data = b"".join(pieces)

    def failed(self, read: Read) -> None:
        """End a read whose bytes will not arrive; when it is repeated, the program gets the reason."""
        self._end([read])

    def take(self, file: Hashable, content: object, offset: int, size: int) -> bytes | None:
        """Bytes that arrived for an interrupted read; None if they do not cover the range."""
        if not self._reads:
            return None
        with self._lock:
            for read, interrupted in self._reads.items():
                data = interrupted.data
                if data is None or read.file is not file or read.content is not content:
                    continue
                begin = offset - read.offset
                is_end = len(data) < read.size
                if begin >= 0 and (begin + size <= len(data) or (is_end and begin <= len(data))):
                    return data[begin : begin + size]
        return None

    def leave(self, file: Hashable) -> None:
        """End the reads of a file that is closed: nobody will repeat them."""
        if self._reads:
            with self._lock:
                over = [read for read in self._reads if read.file is file]
            self._end(over)

    def _end(self, reads: list[Read]) -> None:
        for read in reads:
            with self._lock:
                interrupted = self._reads.pop(read, None)
            if interrupted is not None:
                interrupted.alarm.cancel()
                read.cancel()
