"""The body of an answer, read as it arrives."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import httpx

from empirical_fs.net.streams import Stream
from empirical_fs.net.turns import Turn
from empirical_fs.work.waits import Steps


class Incoming:
    """The body of an answer; raises this program's errors instead of httpx's."""

    def __init__(self, stream: Stream, translated: Callable[[], AbstractContextManager[None]]) -> None:
        """Read `stream`; `translated` is a context manager that translates its errors."""
        self._stream = stream
        self._translated = translated

    def arrived(self) -> Steps[None]:
        """Wait until at least a byte, or the end of the body, has arrived.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            wait = self._stream.wait()
            if wait is not None and not (yield wait):
                raise httpx.ReadTimeout("the body stalled")

    def read_into(self, view: memoryview) -> int:
        """Read into `view` what has arrived, at least a byte; returns the number of bytes, 0 at the end.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            return self._stream.read_into(view)


class InTurn(httpx.SyncByteStream):
    """The body of an answer; when it is closed, the turn of its request ends."""

    def __init__(self, stream: object, turn: Turn) -> None:
        """Read `stream`, and end `turn` when it is closed."""
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces."""
        return iter(self._stream)

    def close(self) -> None:
        """Close the body, and let the next request go."""
        try:
            self._stream.close()
        finally:
            self._turn.end()
