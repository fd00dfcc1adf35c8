"""A range of a content as it arrives: written by one fetch, read by any number of waiting readers."""

import threading

from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, EmpiricalError
from empirical_fs.reading.buffers import Buffer


class Part:
    """The bytes from `start` to `stop`, of which those before `filled` are here.

    The condition's lock guards `filled`, the failure and what is waited for. Bytes are copied without it:
    nobody reads at or after `filled`, and one thread alone writes.
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

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stop - self.start

    @property
    def failure(self) -> EmpiricalError | None:
        """Why no more bytes will come; None while they may."""
        return self._failure

    def append(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Closing: nobody wants them any more.
            OSError: there is no room for them.
        """
        if self._failure is not None:
            raise Closing("nobody reads on") from self._failure
        self._buffer.write(self._filled - self.start, chunk)
        with self._changed:
            self._filled += len(chunk)
            # Waking a reader whose bytes are not here yet costs two switches for nothing.
            if any(wanted <= self._filled for wanted in self._wanted):
                self._changed.notify_all()

    def fail(self, failure: EmpiricalError) -> None:
        """Say to all who wait, and to the fetch, that no more bytes will come; the first reason stays."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def read(self, start: int, stop: int, deadline: Deadline) -> bytes:
        """The bytes from `start` to `stop`, as soon as they are here.

        Raises:
            DeadlinePassed: they did not come in time.
            EmpiricalError: they will not come.
        """
        with self._changed:
            self._wanted.append(stop)
            try:
                while self._filled < stop:
                    if self._failure is not None:
                        raise self._failure
                    self._changed.wait(deadline.remaining())
            finally:
                self._wanted.remove(stop)
        return self._buffer.read(start - self.start, stop - self.start)
