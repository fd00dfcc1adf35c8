"""One open file. Its first reads show how the program reads; a read that may be unneeded waits a moment."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from empirical_fs.errors import EmpiricalError
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor, Taken
from empirical_fs.reading.habits import Habits, is_whole
from empirical_fs.reading.part import Part
from empirical_fs.reading.pending_read import Cancel, Waiter
from empirical_fs.reading.read_ahead import REORDERING, Policy, Range
from empirical_fs.reading.read_ahead_detection import ReadAheadDetector
from empirical_fs.reading.reader import Reader
from empirical_fs.work.timer import Alarm, Timer

FIRST_LOOK = 256 * 2**10
"""Bytes of the beginning of a file that one request fetches when a program's first read is a large one."""


def nothing(_handle: "Handle") -> None:
    """Does nothing: the default for callers that need no callback."""


class Owner(Protocol):
    """The object that opened the file (and others), and shares these with its handles."""

    habits: Habits
    kernel_window: int
    """Bytes that the kernel reads ahead of a program."""
    timer: Timer

    @property
    def pause(self) -> float:
        """Seconds by which to delay a read that may be the kernel's read-ahead."""

    def release(self, content: Content) -> None:
        """Close one handle of `content`."""


class Handle:
    """One open file, which several threads may read at once.

    The lock guards the record of the first reads.
    """

    def __init__(self, owner: Owner, reader: Reader, on_first_read: "OnRead", on_closed: "OnRead") -> None:
        """Read through `reader` with a cursor of its own; `close` releases the content to `owner`."""
        self.content = reader.content
        self.read_bytes = 0
        """Bytes that were requested so far; approximate, since concurrent threads may lose some."""
        self.head = 0
        """Bytes from offset 0 that were requested without a gap; as approximate."""
        self._owner = owner
        self._reader, self._supply = reader, reader.supply
        self._cursor = Cursor(reader.content.size)
        self._on_first_read: OnRead | None = on_first_read
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._detector = ReadAheadDetector()
        self._was_served = False
        self._is_telling = True
        self._is_trusted = False

    def trust_reads(self) -> None:
        """Take no read for the kernel's own read-ahead: there is no kernel between the program and us."""
        self._detector.trust()
        self._is_trusted = True

    def plan_by(self, policy: Policy) -> None:
        """Read ahead as `policy` says; called before the first read.

        What is read then shows nothing of how far other programs read.
        """
        self._cursor.policy = policy
        self._is_telling = False

    @property
    def is_read_whole(self) -> bool:
        """Whether nearly all bytes of the file were requested (see `habits.is_whole`)."""
        return is_whole(self.content.size, self.read_bytes)

    def take_ready(self, start: int, size: int) -> Taken | None:
        """The `size` bytes from `start`, or None if not all have arrived; as `Reader.take_ready`."""
        taken = self._reader.take_ready(self._cursor, start, size)
        if taken is not None:
            self._was_served = True
            self._note(start, size)
        return taken

    def read(self, start: int, size: int, waiter: Waiter) -> Cancel:
        """Give `waiter` `size` bytes from `start`, now or when they have arrived; fewer only at the end.

        A read that may be the kernel's read-ahead begins a moment later: the program may never need these
        bytes, and may close the file in that time.
        """
        on_first_read, self._on_first_read = self._on_first_read, None
        if on_first_read is not None:
            if self._is_telling:
                self._look_ahead(start, size)
            on_first_read(self)
        self._note(start, size)
        if self._is_trusted and not self._is_telling:
            return self._reader.read(self._cursor, start, size, waiter)
        noted = _Noted(waiter, self)
        with self._lock:
            is_ahead = self._detector.begin(noted, start, start + size)
        seconds = self._owner.pause if is_ahead and self._owner.habits.trusted_at else 0
        if not seconds or self._supply.is_coming(start, size):
            return self._reader.read(self._cursor, start, size, noted)
        held = _Held(partial(self._reader.read, self._cursor, start, size, noted))
        held.begin_later(self._owner.timer, seconds)
        return held.cancel

    def over(self, noted: "_Noted", *, is_served: bool) -> None:
        """Note that a read has ended, and whether it got its bytes."""
        self._was_served = self._was_served or is_served
        with self._lock:
            self._detector.end(noted)

    def fetch_ahead(self, stop: int | None = None) -> bool:
        """Begin to fetch the bytes before `stop` (by default all); False if there is no memory for any."""
        with self._lock:
            self._detector.trust()
        return self._supply.fetch_ahead(self._cursor, self.content.size if stop is None else stop)

    def announce(self, reads: Range) -> None:
        """As `Supply.announce`."""
        self._supply.announce(self._cursor, reads)

    def bring(self, extent: Range, request_stop: int) -> list[Part] | None:
        """As `Supply.bring`."""
        return self._supply.bring(self._cursor, extent, request_stop)

    def drop(self, part: Part) -> None:
        """As `Supply.drop`."""
        self._supply.drop(self._cursor, part)

    def close(self) -> None:
        """Drop what was fetched ahead for this handle, and release the content."""
        self._on_closed(self)
        # A program that was killed before it got a byte shows nothing of how far it would have read.
        if self._was_served and self._is_telling:
            self._owner.habits.closed(self.content.size, self.read_bytes, self.head)
        self._supply.leave(self._cursor)
        self._owner.release(self.content)

    def _note(self, start: int, size: int) -> None:
        self.read_bytes += size
        if start <= self.head + REORDERING:
            self.head = max(self.head, start + size)

    def _look_ahead(self, start: int, size: int) -> None:
        """Fetch the beginning of the file by one request, if this is the first of a large read's pieces.

        The kernel splits one large read of a program into several.
        """
        is_large = self._owner.kernel_window <= size < min(FIRST_LOOK, self.content.size)
        if is_large and not start and not self._supply.is_coming(0, FIRST_LOOK):
            self._supply.fetch_ahead(self._cursor, FIRST_LOOK)


OnRead = Callable[[Handle], object]
"""Called once, by the thread that reads or closes: at the first read of a handle, or when it is closed."""


class _Noted:
    """A waiter that also tells its handle when the read has ended."""

    __slots__ = ("_handle", "_waiter")

    def __init__(self, waiter: Waiter, handle: Handle) -> None:
        self._waiter = waiter
        self._handle = handle

    def give(self, pieces: list[memoryview]) -> None:
        # Before the answer, since the kernel's next read may arrive while the program copies this one.
        self._handle.over(self, is_served=True)
        self._waiter.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        self._handle.over(self, is_served=False)
        self._waiter.fail(error)


class _Held:
    """A read that begins later, unless it is cancelled first. The lock guards which of the two came first."""

    def __init__(self, begin: Callable[[], Cancel]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._alarm: Alarm | None = None
        self._cancel: Cancel | None = None
        self._is_cancelled = False

    def begin_later(self, timer: Timer, seconds: float) -> None:
        self._alarm = timer.after(seconds, self._begin_now)

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            cancel = self._cancel
        if self._alarm is not None:
            self._alarm.cancel()
        if cancel is not None:
            cancel()

    def _begin_now(self) -> None:
        if self._is_cancelled:
            return
        begun = self._begin()
        with self._lock:
            self._cancel = begun
            is_late = self._is_cancelled
        if is_late:
            begun()
