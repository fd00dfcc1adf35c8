"""A range of a content as it arrives: written by one fetch, read by any number of waiting readers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, EmpiricalError
from empirical_fs.reading.buffers import Buffer


class Part:
    """The bytes from `start` to `stop`, of which those before `filled` are here.

    The condition's lock guards all of it. Bytes are copied out under the lock, since memory that was given
    back is used again at once; they arrive without it, in memory that is not given back before.
    """

    def __init__(self, start: int, stop: int, buffer: Buffer) -> None:
        """Keep the bytes in `buffer`; none are here yet."""
        self.start = start
        self.stop = stop
        self._buffer = buffer
        self._changed = threading.Condition(threading.Lock())
        self._filled = start
        self._wanted: list[int] = []
        self._failure: EmpiricalError | None = None
        self._is_begun = False
        self._is_filling = False
        self._is_dropped = False
        self.cancellation = Cancellation()
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
    def failure(self) -> EmpiricalError | None:
        """Why no more bytes will come; None while they may."""
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
        with self._changed:
            is_ours = not self._is_begun and self._failure is None
            self._is_begun = True
            self._is_filling = self._is_filling or is_ours
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._changed:
                    self._is_filling = False
                    if self._is_dropped:
                        self._buffer.release()

    def room(self) -> memoryview:
        """The place for the next bytes, for the one that fills it.

        Raises:
            Closing: nobody wants them any more.
        """
        if self._failure is not None:
            raise Closing("nobody reads on") from self._failure
        return self._buffer.room(self._filled - self.start)[: self.stop - self._filled]

    def advance(self, count: int) -> None:
        """Take note that the next `count` bytes are in the room.

        Raises:
            OSError: there is no place to keep them.
        """
        self._buffer.keep(self._filled - self.start, count)
        with self._changed:
            self._filled += count
            # Waking a reader whose bytes are not here yet costs two switches for nothing.
            if any(wanted <= self._filled for wanted in self._wanted):
                self._changed.notify_all()

    def fail(self, failure: EmpiricalError) -> None:
        """Say to all who wait, and to the fetch, that no more bytes will come; the first reason stays."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def drop(self) -> None:
        """Give back the memory as soon as nobody fills it; who still reads here gets Closing."""
        with self._changed:
            if self._is_dropped:
                return
            self._is_dropped = True
            self._failure = self._failure or Closing("nobody reads on")
            self._changed.notify_all()
            if not self._is_filling:
                self._buffer.release()
        self.cancellation.cancel()

    def read_into(self, view: memoryview, start: int, deadline: Deadline) -> None:
        """Fill `view` with the bytes from `start`, as soon as they are here.

        Raises:
            DeadlinePassed: they did not come in time.
            Abandoned: the caller does not wait any more.
            EmpiricalError: they will not come.
        """
        stop = start + len(view)
        with self._changed:
            if self._filled < stop:
                self._wait(stop, deadline)
            if self._is_dropped:
                raise Closing("nobody reads on")
            self._buffer.copy_to(view, start - self.start)

    def read_ready(self, view: memoryview, start: int) -> bool:
        """Fill `view` with the bytes from `start` if all are here, without waiting, and say so."""
        if start < self.start or start + len(view) > self._filled:
            return False
        with self._changed:
            if self._is_dropped:
                return False
            self._buffer.copy_to(view, start - self.start)
            return True

    def _wait(self, stop: int, deadline: Deadline) -> None:
        self._wanted.append(stop)
        try:
            while self._filled < stop:
                if self._failure is not None:
                    raise self._failure
                self._changed.wait(deadline.until_next_look())
        finally:
            self._wanted.remove(stop)
