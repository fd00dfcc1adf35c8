"""The body of an answer as it arrives, whoever read its head."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import httpx

from empirical_fs.net.turns import Turn
from empirical_fs.work.waits import Readable, Steps


class _Source(Protocol):
    """Where a body comes from."""

    def wait(self) -> Readable | None:
        """What to wait for before something can be read; None if nothing."""

    def read_into(self, view: memoryview) -> int:
        """Read what has arrived, at least a byte; 0 at the end."""


class Incoming:
    """The body of an answer, whose errors are ours."""

    def __init__(self, source: _Source, translated: Callable[[], AbstractContextManager[None]]) -> None:
        """Read `source`, whose errors `translated` translates."""
        self._source = source
        self._translated = translated

    def arrived(self) -> Steps[None]:
        """Wait until something has arrived, or the end, where that can be told.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            wait = self._source.wait()
            if wait is not None and not (yield wait):
                raise httpx.ReadTimeout("the body stalled")

    def read_into(self, view: memoryview) -> int:
        """Read into a memoryview what has arrived: at least a byte, 0 at the end.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            return self._source.read_into(view)


class InTurn(httpx.SyncByteStream):
    """The body of an answer, with whose end the turn of its request ends."""

    def __init__(self, stream: object, turn: Turn) -> None:
        """Read `stream`, and end `turn` when it is closed."""
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces."""
        return iter(self._stream)

    def close(self) -> None:
        """Close it, and let the next one ask."""
        try:
            self._stream.close()
        finally:
            self._turn.end()


class Pieces:
    """The body of an answer that came through a proxy, which httpx reads in pieces of its own."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Read `pieces`."""
        self._pieces = pieces
        self._rest = memoryview(b"")

    def wait(self) -> Readable | None:
        """Nothing: nobody can tell."""
        return None

    def read_into(self, view: memoryview) -> int:
        """Read what has arrived, at least a byte; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
