"""One open file: what its first reads show of the reader, and how long a read may wait for that."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from empirical_fs.errors import EmpiricalError
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor, Taken
from empirical_fs.reading.following import Following
from empirical_fs.reading.habits import Habits, is_whole
from empirical_fs.reading.pending_read import Cancel, Waiter
from empirical_fs.reading.read_ahead import REORDERING
from empirical_fs.reading.reader import Reader
from empirical_fs.work.timer import Alarm, Timer

FIRST_LOOK = 256 * 2**10
"""Bytes of the beginning of a file that come by one request for a reader who asks for many at once."""


def nothing(_handle: "Handle") -> None:
    """Does nothing: nobody minds how a handle was read."""


class Owner(Protocol):
    """Who opened the file, and others."""

    habits: Habits
    kernel_window: int
    """Bytes that the kernel reads ahead of its readers."""
    timer: Timer

    @property
    def pause(self) -> float:
        """Seconds by which to put off a read that the kernel may have sent ahead of its reader."""

    def release(self, content: Content) -> None:
        """Close one handle of `content`."""


class Handle:
    """One open file. It may be read by several threads at once.

    The lock guards what is known of the first reads, and those that wait for their time.
    """

    def __init__(self, owner: Owner, reader: Reader, on_first_read: "OnRead", on_closed: "OnRead") -> None:
        """Read through `reader`, with a cursor of our own; `owner` has the reader back in the end."""
        self.content = reader.content
        self.read_bytes = 0
        """Bytes that were asked for by now, roughly: threads side by side may lose some."""
        self.head = 0
        """Bytes from the beginning on that were asked for without a gap, as roughly."""
        self._owner = owner
        self._reader = reader
        self._cursor = Cursor(reader.content.size)
        self._on_first_read: OnRead | None = on_first_read
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._following = Following()
        self._was_served = False

    @property
    def is_read_whole(self) -> bool:
        """Whether all of it was asked for, but for a little."""
        return is_whole(self.content.size, self.read_bytes)

    def take_ready(self, start: int, size: int) -> Taken | None:
        """The bytes from `start` if all are at hand; the part takes them back."""
        taken = self._reader.take_ready(self._cursor, start, size)
        if taken is not None:
            self._was_served = True
            self._note(start, size)
        return taken

    def read(self, start: int, size: int, waiter: Waiter) -> Cancel:
        """Give `waiter` the bytes from `start`, now or when they have come, fewer only at the end.

        Bytes that the reader may never come to, for the kernel asks ahead of it, are asked for a moment
        later: until then it may have closed the file.
        """
        on_first_read, self._on_first_read = self._on_first_read, None
        if on_first_read is not None:
            self._look_ahead(start, size)
            on_first_read(self)
        self._note(start, size)
        noted = _Noted(waiter, self)
        with self._lock:
            is_ahead = self._following.begin(noted, start, start + size)
        seconds = self._owner.pause if is_ahead and self._owner.habits.trusted_at else 0
        if not seconds or self._reader.is_coming(start, size):
            return self._reader.read(self._cursor, start, size, noted)
        held = _Held(partial(self._reader.read, self._cursor, start, size, noted))
        held.begin_later(self._owner.timer, seconds)
        return held.cancel

    def over(self, noted: "_Noted", *, is_served: bool) -> None:
        """Note that a read is over, and whether it had its bytes."""
        self._was_served = self._was_served or is_served
        with self._lock:
            self._following.end(noted)

    def fetch_ahead(self, stop: int | None = None) -> bool:
        """Begin to fetch the bytes before `stop`, or all; False if there is no memory for any."""
        with self._lock:
            self._following.trust()
        return self._reader.fetch_ahead(self._cursor, self.content.size if stop is None else stop)

    def close(self) -> None:
        """Release the content; what was fetched ahead is dropped with the last handle."""
        self._on_closed(self)
        # A reader that was killed before it had a byte has shown nothing of how far it would have read.
        if self._was_served:
            self._owner.habits.closed(self.content.size, self.read_bytes, self.head)
        self._reader.leave(self._cursor)
        self._owner.release(self.content)

    def _note(self, start: int, size: int) -> None:
        self.read_bytes += size
        if start <= self.head + REORDERING:
            self.head = max(self.head, start + size)

    def _look_ahead(self, start: int, size: int) -> None:
        """Have the beginning of the file come by one request, if the kernel makes more of a large read."""
        is_large = self._owner.kernel_window <= size < min(FIRST_LOOK, self.content.size)
        if is_large and not start and not self._reader.is_coming(0, FIRST_LOOK):
            self._reader.fetch_ahead(self._cursor, FIRST_LOOK)


OnRead = Callable[[Handle], object]
"""Told once, in the thread that reads or closes, that bytes of a handle are asked for, or no more."""


class _Noted:
    """Who reads, and a handle that hears that the read is over."""

    __slots__ = ("_handle", "_waiter")

    def __init__(self, waiter: Waiter, handle: Handle) -> None:
        self._waiter = waiter
        self._handle = handle

    def give(self, pieces: list[memoryview]) -> None:
        # Before the answer: the kernel's next read comes while the reader copies this one.
        self._handle.over(self, is_served=True)
        self._waiter.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        self._handle.over(self, is_served=False)
        self._waiter.fail(error)


class _Held:
    """A read that begins later, unless it is cancelled before. The lock guards which of the two was first."""

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
