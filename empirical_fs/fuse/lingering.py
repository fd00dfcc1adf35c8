"""Reads whose readers were interrupted by a signal that they handle: they go on, for whoever asks again."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from empirical_fs.work.timer import Alarm, Timer

_SECONDS = 10.0
"""For how long one goes on, and its bytes are kept."""
_MOST = 16
"""How many do; of more, the oldest ends."""


class Read(Protocol):
    """A read that nobody waits for at the moment."""

    @property
    def file(self) -> Hashable:
        """The open file that it is of."""

    @property
    def content(self) -> object:
        """What its bytes are of."""

    @property
    def offset(self) -> int:
        """Of its first byte."""

    @property
    def size(self) -> int:
        """How many bytes it asked for."""

    def cancel(self) -> None:
        """End what was begun for it."""


@dataclass(slots=True)
class _Lingering:
    """One of them, and its bytes once they have come."""

    alarm: Alarm
    data: bytes | None = None


class Lingering:
    """Those reads, for a bounded time and in a bounded number.

    A reader whose signals are nearer to each other than the answers of the store would never get on, if each
    try began from nothing (the runtime of Go interrupts its threads by itself). The lock guards all of it; no
    read is cancelled under it.
    """

    def __init__(self, timer: Timer) -> None:
        """Have none yet."""
        self._timer = timer
        self._lock = threading.Lock()
        self._reads: OrderedDict[Read, _Lingering] = OrderedDict()

    def add(self, read: Read) -> None:
        """Let `read` go on: its bytes, when they come, are for whoever asks for them again."""
        alarm = self._timer.after(_SECONDS, partial(self._end, [read]))
        with self._lock:
            self._reads[read] = _Lingering(alarm)
            over = list(self._reads)[:-_MOST]
        self._end(over)

    def arrived(self, read: Read, pieces: list[memoryview]) -> None:
        """The bytes of a read are here, until this returns."""
        with self._lock:
            lingering = self._reads.get(read)
            if lingering is not None:
                lingering.data = b"".join(pieces)

    def failed(self, read: Read) -> None:
        """The bytes of a read will not come; whoever asks again hears why."""
        self._end([read])

    def take(self, file: Hashable, content: object, offset: int, size: int) -> bytes | None:
        """Bytes of a file that came for a reader who was interrupted, if they are all that is asked for."""
        if not self._reads:
            return None
        with self._lock:
            for read, lingering in self._reads.items():
                data = lingering.data
                if data is None or read.file is not file or read.content is not content:
                    continue
                begin = offset - read.offset
                is_end = len(data) < read.size
                if begin >= 0 and (begin + size <= len(data) or (is_end and begin <= len(data))):
                    return data[begin : begin + size]
        return None

    def leave(self, file: Hashable) -> None:
        """A file is closed: nobody asks again."""
        if self._reads:
            with self._lock:
                over = [read for read in self._reads if read.file is file]
            self._end(over)

    def _end(self, reads: list[Read]) -> None:
        for read in reads:
            with self._lock:
                lingering = self._reads.pop(read, None)
            if lingering is not None:
                lingering.alarm.cancel()
                read.cancel()
