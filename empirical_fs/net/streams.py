"""The body of one answer, read from its socket directly into the caller's memory."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from io import BufferedIOBase
from typing import Protocol, cast

import httpx

from empirical_fs.net.answer import Answer
from empirical_fs.net.heads import Unreadable
from empirical_fs.work.waits import Readable, has_arrived

_PIECE = 64 * 2**10
_GATHERED = 512 * 2**10
_SOON_SECONDS = 0.02
_FOREVER = 3600.0
"""Seconds: the timeout where the socket has none."""


class NotHttp(httpx.RemoteProtocolError):
    """An answer whose head or chunks cannot be parsed."""


class Stream(httpx.SyncByteStream):
    """The body of one answer, read piece by piece, or into memory that the caller gives."""

    def __init__(self, connected: socket.socket, answer: Answer, end: "End") -> None:
        """Read `answer` from the socket `connected`; `end` is called once, to give the connection back."""
        self._end: End | None = end
        self._socket = connected
        self._timeout = connected.gettimeout()
        self._answer = answer
        self._buffered: BufferedIOBase | None = cast("BufferedIOBase", answer.fp)
        self._left = answer.length
        self._received = 0
        self._is_at_end = self._left == 0
        self._is_kept_alive = not answer.will_close

    def wait(self) -> Readable | None:
        """What to wait for before a read of the body, or of its end, does not block; None if it would not."""
        if self._is_at_end:
            return None
        with translated():
            has_come = has_arrived(self._socket) if self._buffered is None else self._answer.has_come()
        return (
            None if has_come else Readable(self._socket, _FOREVER if self._timeout is None else self._timeout)
        )

    def read_into(self, view: memoryview) -> int:
        """Read what has arrived, at least a byte; 0 at the end of the body.

        Raises:
            httpx.TransportError: the body stalled or broke off.
        """
        if self._is_at_end:
            return 0
        if self._buffered is not None:
            self._answer.allow(self._timeout)
        with translated():
            if self._left is None:
                piece = self._answer.read1(len(view))
                view[: len(piece)] = piece
                self._is_at_end = not piece
                return len(piece)
            count = self._read_some(view[: self._left])
            # TLS returns at most one record (16 KiB) per read: gather several, but never so many that a
            # caller waits more than twice as long for the first bytes.
            enough = min(len(view), self._left, max(1, min(self._received, _GATHERED)))
            # A socket's file object cannot be read again after a timeout; the socket itself can.
            if count < enough and self._buffered is None:
                count = self._gather(view, count, enough)
        self._received += count
        self._left -= count
        self._is_at_end = self._left == 0
        return count

    def _gather(self, view: memoryview, count: int, enough: int) -> int:
        """Add to the first `count` bytes of `view` what arrives soon; a stall must not delay those bytes."""
        stop = min(len(view), self._left or 0)
        receive = self._socket.recv_into  # called for every TLS record, so the loop must be fast
        try:
            self._socket.settimeout(_SOON_SECONDS)
            while count < enough and (received := receive(view[count:stop], stop - count)):
                count += received
        except OSError:
            pass  # return what has arrived; the next read raises the error again
        finally:
            self._socket.settimeout(self._timeout)
        return count

    def _read_some(self, view: memoryview) -> int:
        if self._buffered is None:
            # Without the length, SSLSocket makes another memoryview to compute it.
            count = self._socket.recv_into(view, len(view))
        else:
            # Bytes that came with the head; if there are none left, one read from the socket.
            piece = self._buffered.read1(min(len(view), _PIECE))
            count = len(piece)
            view[:count] = piece
            if count < min(len(view), _PIECE):
                self._buffered = None
        if not count:
            raise httpx.RemoteProtocolError("the body ended early")
        return count

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces, for httpx."""
        view = memoryview(bytearray(_PIECE))
        while count := self.read_into(view):
            yield bytes(view[:count])

    def close(self) -> None:
        """Keep the connection if the body was read to its end, else close it."""
        end, self._end = self._end, None
        if end is None:
            return
        self._answer.close()
        is_whole = self._is_at_end and self._is_kept_alive
        end(is_reusable=is_whole and not self._answer.is_followed and not has_arrived(self._socket))


class End(Protocol):
    """Called once when a request ends."""

    def __call__(self, *, is_reusable: bool) -> None:
        """`is_reusable`: whether the connection can serve another request."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate the exceptions of the standard library into those of httpx.

    Raises:
        httpx.ReadTimeout: the socket brought nothing in time.
        NotHttp: the answer cannot be parsed.
        httpx.ReadError: the connection broke off.
    """
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout("no answer in time") from error
    except Unreadable as error:
        raise NotHttp(str(error)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise httpx.ReadError("the connection broke off") from error
