"""A range of a content as it arrives: written by one fetch, read by any number of readers that wait."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from empirical_fs.cancellation import Cancellation
from empirical_fs.errors import Closing, EmpiricalError
from empirical_fs.reading.buffers import Buffer

OnHere = Callable[[], object]
"""Told once that bytes are here, or will not come; asks again which. It does not raise, nor wait."""


class Coming(Enum):
    """Whether bytes of a part are here, or come."""

    HERE = auto()
    LATER = auto()
    """Who asked is told when to ask again."""
    NEVER = auto()
    """The part has ended."""


class End(Enum):
    """How a part ended, of which no more bytes will come."""

    FAILED = auto()
    """Its fetch did, for the reason that `failure` gives."""
    REPLACED = auto()
    """The server sends the whole content in its place."""
    DROPPED = auto()
    """Nobody wants it any more."""


class Part:
    """The bytes from `start` to `stop`, of which those before `filled` are here.

    The lock guards all of it. Bytes are read without it, from memory that is not given back while somebody
    fills or reads it; nobody is told anything under it.
    """

    def __init__(self, start: int, stop: int, buffer: Buffer) -> None:
        """Keep the bytes in `buffer`; none are here yet."""
        self.start = start
        self.stop = stop
        self._buffer = buffer
        self._lock = threading.Lock()
        self._filled = start
        self._waiting: list[tuple[int, OnHere]] = []
        self._end: End | None = None
        self._failure: EmpiricalError | None = None
        self._is_begun = False
        self._users = 0
        """Those who fill or read the memory now."""
        self._is_dropped = False
        self.cancellation = Cancellation(is_awaited=False)
        """Ends the request that brings it, when it is dropped."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stop - self.start

    @property
    def arrived(self) -> int:
        """How many of its bytes are here."""
        return self._filled - self.start

    @property
    def end(self) -> End | None:
        """How it ended; None while bytes are kept and more of them may come."""
        return self._end

    @property
    def failure(self) -> EmpiricalError | None:
        """Why its fetch failed; None where it has not."""
        return self._failure

    @property
    def is_begun(self) -> bool:
        """Whether a fetch of it has begun."""
        return self._is_begun

    def has(self, stop: int) -> bool:
        """Whether the bytes before `stop` are here."""
        return self._filled >= stop

    @contextmanager
    def filling(self) -> Iterator[bool]:
        """Say whether the caller is to fetch it: it is still wanted, and nobody else does.

        The memory stays until the end, even if the part is dropped meanwhile.
        """
        with self._lock:
            is_ours = not self._is_begun and self._end is None
            self._is_begun = True
            self._users += is_ours
        try:
            yield is_ours
        finally:
            if is_ours:
                self.give_back()

    def room(self) -> memoryview:
        """The place for the next bytes, for the one that fills it.

        Raises:
            Closing: nobody wants them any more.
        """
        if self._end is not None:
            raise Closing("nobody reads on") from self._failure
        return self._buffer.room(self._filled - self.start)[: self.stop - self._filled]

    def advance(self, count: int) -> None:
        """Take note that the next `count` bytes are in the room.

        Raises:
            OSError: there is no place to keep them.
        """
        self._buffer.keep(self._filled - self.start, count)
        with self._lock:
            self._filled += count
            # Waking a reader whose bytes are not here yet costs for nothing.
            due = [call for stop, call in self._waiting if stop <= self._filled]
            if due:
                self._waiting = [each for each in self._waiting if each[0] > self._filled]
        for call in due:
            call()

    def has_kept(self, at: int, again: memoryview) -> bool:
        """Whether bytes that came again, from the offset `at` on, are those that are here.

        Only for the one that fills it. Bytes before its start are not compared.

        Raises:
            OSError: the disk that they were kept on does not give them.
        """
        start, stop = max(at, self.start), at + len(again)
        again = again[start - at :]
        for piece in self._buffer.pieces(start - self.start, stop - self.start) if start < stop else ():
            if piece != again[: len(piece)]:
                return False
            again = again[len(piece) :]
        return True

    def fail(self, failure: EmpiricalError) -> None:
        """Say to all who wait, and to the fetch, that no more bytes will come; the first reason stays."""
        for call in self._ended(End.FAILED, failure):
            call()

    def replace(self) -> None:
        """Say to all who wait, and to the fetch, that the whole content comes in place of this."""
        for call in self._ended(End.REPLACED):
            call()

    def drop(self) -> list[OnHere]:
        """Give back the memory as soon as nobody uses it; who still waits is to be told, by the caller."""
        with self._lock:
            if self._is_dropped:
                return []
            self._is_dropped = True
            is_complete = self._filled >= self.stop
            if not self._users:
                self._buffer.release()
        waiting = self._ended(End.DROPPED)
        # Readers are told of the last bytes before the request ends, whose connection can serve another one.
        if not is_complete:
            self.cancellation.cancel()
        return waiting

    def when_here(self, stop: int, call: OnHere) -> Coming:
        """Whether the bytes before `stop` are here; while they may come, `call` is told when to ask again."""
        with self._lock:
            if self._filled >= stop:
                return Coming.HERE
            if self._end is not None:
                return Coming.NEVER
            self._waiting.append((stop, call))
            self.cancellation.is_awaited = True
            return Coming.LATER

    def hurry(self) -> None:
        """Have it go before what nobody waits for: a read needs it, if not first of all."""
        self.cancellation.is_awaited = True

    def withdraw(self, call: OnHere) -> None:
        """Do not tell `call` any more."""
        with self._lock:
            self._waiting = [each for each in self._waiting if each[1] is not call]
            self.cancellation.is_awaited = bool(self._waiting)

    def take(self, start: int, stop: int) -> list[memoryview] | None:
        """Where the bytes from `start` to `stop` lie, until `give_back`; None if not all of them are here.

        Raises:
            OSError: the disk that they were kept on does not give them.
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
        """Have done with what was taken."""
        with self._lock:
            self._users -= 1
            if self._is_dropped and not self._users:
                self._buffer.release()

    def _ended(self, end: End, failure: EmpiricalError | None = None) -> list[OnHere]:
        """Note how it ended, unless it has; those who wait for bytes of it."""
        with self._lock:
            if self._end is None:
                self._end, self._failure = end, failure
            waiting, self._waiting = self._waiting, []
        return [call for _, call in waiting]
