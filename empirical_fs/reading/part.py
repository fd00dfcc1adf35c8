"""A range of a content as it arrives: one fetch writes it, any number of pending reads read it."""

import threading
import time
from collections.abc import Callable
from enum import Enum, auto

from empirical_fs.cancellation import Cancellation
from empirical_fs.errors import Closing, EmpiricalError
from empirical_fs.reading.buffers import Buffer

OnHere = Callable[[], object]
"""Called once when bytes have arrived or will not come; it calls `when_here` again to learn which.

It neither raises nor blocks.
"""

OnLeft = Callable[[], object]
"""Called once when nobody fills a part any more. It neither raises nor blocks, and takes no lock."""


class Coming(Enum):
    """Whether bytes of a part have arrived, or still may."""

    HERE = auto()
    LATER = auto()
    """The caller's function will be called when it should ask again."""
    NEVER = auto()
    """The part has ended without these bytes."""


class End(Enum):
    """Why no more bytes of a part will arrive."""

    FAILED = auto()
    """Its fetch failed; `failure` has the reason."""
    REPLACED = auto()
    """The server sends the whole content in its place."""
    DROPPED = auto()
    """It is no longer needed."""


class Part:
    """The bytes from offset `start` to before `stop`; those before `_filled` have arrived.

    The lock guards all fields. Bytes are read without the lock, from memory that is not released while a
    thread fills or reads it. No callback is called with the lock held.
    """

    def __init__(self, start: int, stop: int, buffer: Buffer, rest: int = 0) -> None:
        """Keep the bytes in `buffer`; none have arrived yet.

        If it is dropped when bytes have arrived and at most `rest` are missing, these are still fetched: the
        disk cache keeps whole blocks only.
        """
        self.start = start
        self.stop = stop
        self._buffer = buffer
        self._rest = rest
        self._goes_on = False
        """Whether it has been dropped, and its rest is still fetched."""
        self._lock = threading.Lock()
        self._filled = start
        self._waiting: list[tuple[int, OnHere]] = []
        self._end: End | None = None
        self._failure: EmpiricalError | None = None
        self._is_begun = False
        self._begun_at: float | None = None
        self.lasted = 0.0
        """Seconds from the begin of its fetch to its end; 0 until then."""
        self._users = 0
        """How many fill or read the memory now."""
        self._is_dropped = False
        self._is_left = False
        """Whether the thread that filled it has gone on to other work."""
        self._watching: list[OnLeft] = []
        self.cancellation = Cancellation(is_awaited=False)
        """Ends the request that fetches this part, when the part is dropped."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stop - self.start

    @property
    def arrived(self) -> int:
        """How many of its bytes have arrived."""
        return self._filled - self.start

    @property
    def end(self) -> End | None:
        """Why no more bytes will arrive; None while they may, or all have arrived and are kept."""
        return self._end

    @property
    def failure(self) -> EmpiricalError | None:
        """Why its fetch failed; None if it has not."""
        return self._failure

    @property
    def is_begun(self) -> bool:
        """Whether a fetch of it has begun."""
        return self._is_begun

    def has(self, stop: int) -> bool:
        """Whether the bytes before `stop` have arrived."""
        return self._filled >= stop

    def filling(self) -> "_Filling":
        """A context whose value is whether the caller must fetch the part.

        That is so if it is still needed, and no other thread fetches it. The memory is kept until the context
        ends, even if the part is dropped meanwhile.
        """
        return _Filling(self)

    def begin(self) -> bool:
        """Whether the caller must fetch it, as `filling` says; if so, it calls `leave` at the end."""
        with self._lock:
            is_ours = not self._is_begun and self._end is None
            self._is_begun = True
            if is_ours:
                self._users += 1
                self._begun_at = time.monotonic()
            return is_ours

    def leave(self) -> None:
        """Note that nobody fills it any more."""
        with self._lock:
            self._give_back()
            self._is_left = True
            watching, self._watching = self._watching, []
        for call in watching:
            call()

    def when_left(self, call: OnLeft) -> None:
        """Call `call` once nobody fills the part any more, or it has ended before anybody began to.

        Unlike a read, this gives its request no priority.
        """
        with self._lock:
            is_over = self._is_left or (self._end is not None and not self._is_begun)
            if not is_over:
                self._watching.append(call)
        if is_over:
            call()

    def room(self) -> memoryview:
        """The memory for the next bytes, for the thread that fills the part.

        Raises:
            Closing: the bytes are no longer needed.
        """
        if self._end is not None and not self._goes_on:
            raise Closing("the bytes are no longer needed") from self._failure
        return self._buffer.room(self._filled - self.start)[: self.stop - self._filled]

    def advance(self, count: int) -> None:
        """Note that the next `count` bytes were written into `room`, and call those who wait for them.

        Raises:
            OSError: the disk has no space to keep them.
        """
        self._buffer.keep(self._filled - self.start, count)
        with self._lock:
            self._filled += count
            # To wake a read whose bytes have not all arrived would only cost CPU.
            due = [call for stop, call in self._waiting if stop <= self._filled]
            if due:
                self._waiting = [each for each in self._waiting if each[0] > self._filled]
        for call in due:
            call()

    def has_kept(self, at: int, again: memoryview) -> bool:
        """Whether bytes received again, which begin at offset `at`, equal those kept here.

        Only for the thread that fills the part. Bytes before its start are not compared.

        Raises:
            OSError: the disk on which they are kept cannot be read.
        """
        start, stop = max(at, self.start), at + len(again)
        again = again[start - at :]
        for piece in self._buffer.pieces(start - self.start, stop - self.start) if start < stop else ():
            if piece != again[: len(piece)]:
                return False
            again = again[len(piece) :]
        return True

    def filled(self, start: int, stop: int) -> list[memoryview]:
        """The bytes from `start` to `stop`, which have arrived, even if the part has been dropped.

        Only for the thread that fills the part, and only within `filling`.

        Raises:
            OSError: the disk on which they are kept cannot be read.
        """
        return self._buffer.pieces(start - self.start, stop - self.start)

    def fail(self, failure: EmpiricalError) -> None:
        """End the part: no more bytes will arrive. Waiting reads are called; the first reason is kept."""
        for call in self._ended(End.FAILED, failure):
            call()

    def replace(self) -> None:
        """End the part, since the whole content comes in its place. Waiting reads are called."""
        for call in self._ended(End.REPLACED):
            call()

    def drop(self) -> list[OnHere]:
        """Release the memory as soon as no thread uses it; the caller must call the returned functions."""
        with self._lock:
            if self._is_dropped:
                return []
            self._is_dropped = True
            self._goes_on = self._end is None and self.start < self._filled >= self.stop - self._rest
            if not self._users:
                self._buffer.release()
            # In the same step: a thread that begins to fill the part must not find it without memory.
            waiting, watching = self._note_end(End.DROPPED)
        for watcher in watching:
            watcher()
        # Reads get the last bytes before the request has ended. The request of a complete part is not
        # cancelled: it ends by itself, and its connection can serve another one.
        if not self._goes_on:
            self.cancellation.cancel()
        return waiting

    def when_here(self, stop: int, call: OnHere) -> Coming:
        """Whether the bytes before `stop` have arrived. If they still may, `call` tells when to ask again."""
        with self._lock:
            if self._filled >= stop:
                return Coming.HERE
            if self._end is not None:
                return Coming.NEVER
            self._waiting.append((stop, call))
            self.cancellation.is_awaited = True
            return Coming.LATER

    def hurry(self) -> None:
        """Give its request priority over those that no read waits for: a read needs this part."""
        self.cancellation.is_awaited = True

    def withdraw(self, call: OnHere) -> None:
        """Do not call `call` any more."""
        with self._lock:
            self._waiting = [each for each in self._waiting if each[1] is not call]
            self.cancellation.is_awaited = bool(self._waiting)

    def take(self, start: int, stop: int) -> list[memoryview] | None:
        """The bytes from `start` to `stop`, valid until `give_back`; None if not all of them are kept.

        Raises:
            OSError: the disk on which they are kept cannot be read.
        """
        if start < self.start or stop > self._filled:
            return None
        with self._lock:
            if self._is_dropped:
                return None
            self._users += 1
        try:
            return self._buffer.pieces(start - self.start, stop - self.start)
        except BaseException:
            self.give_back()
            raise

    def give_back(self) -> None:
        """End the use of bytes that `take` returned."""
        with self._lock:
            self._give_back()

    def _give_back(self) -> None:
        """As `give_back`; the caller holds the lock."""
        self._users -= 1
        if self._is_dropped and not self._users:
            self._buffer.release()

    def _ended(self, end: End, failure: EmpiricalError | None = None) -> list[OnHere]:
        """Note how it ended, unless it has ended already; returns the functions of the waiting reads."""
        with self._lock:
            waiting, watching = self._note_end(end, failure)
        for watcher in watching:
            watcher()
        return waiting

    def _note_end(self, end: End, failure: EmpiricalError | None = None) -> tuple[list[OnHere], list[OnLeft]]:
        """As `_ended`; the caller holds the lock, and calls the second functions once it does not."""
        if self._end is None:
            self._end, self._failure = end, failure
            self.lasted = 0.0 if self._begun_at is None else time.monotonic() - self._begun_at
        waiting, self._waiting = self._waiting, []
        watching: list[OnLeft] = []
        if not self._is_begun:
            watching, self._watching = self._watching, []
        return [call for _, call in waiting], watching


class _Filling:
    """A context in which a part is filled, unless another thread fills it."""

    __slots__ = ("_is_ours", "_part")

    def __init__(self, part: Part) -> None:
        self._part = part

    def __enter__(self) -> bool:
        self._is_ours = self._part.begin()
        return self._is_ours

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._part.leave()
