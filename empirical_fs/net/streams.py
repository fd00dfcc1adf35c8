"""The body of one answer, read from its socket directly into the caller's memory."""

import socket
from collections.abc import Iterator
from typing import NoReturn, Protocol

import httpx

from empirical_fs.net.chunks import BodyWithoutLength
from empirical_fs.net.heads import NOTHING_YET, ArrivingHead, Head, Unreadable
from empirical_fs.work.waits import Readable, has_arrived, is_readable

_PIECE = 64 * 2**10
_GATHERED = 512 * 2**10
_SOON_SECONDS = 0.02
FOREVER = 3600.0
"""Seconds: the timeout where a request has none."""


class NotHttp(httpx.RemoteProtocolError):
    """An answer whose head or chunks cannot be parsed."""


class Stream(httpx.SyncByteStream):
    """The body of one answer, read piece by piece, or into memory that the caller gives."""

    def __init__(
        self,
        connected: socket.socket,
        rest: ArrivingHead,
        head: Head,
        seconds: float | None,
        end: "End",
    ) -> None:
        """Read the body after `head`: the bytes in `rest`, then those of the socket `connected`.

        The socket does not block. `seconds` is how long the body may pause; `end` is called once, to give the
        connection back.
        """
        self._end: End | None = end
        self._socket = connected
        self._timeout = FOREVER if seconds is None else seconds
        self._rest = rest
        self._left = head.length
        self._without_length: BodyWithoutLength | None = None
        if head.length is None:
            self._without_length = BodyWithoutLength(connected, rest, is_chunked=head.is_chunked)
        self._received = 0
        self._is_at_end = self._left == 0
        self._is_kept_alive = head.is_kept

    def wait(self) -> Readable | None:
        """What to wait for before a read of the body, or of its end, does not block; None if it would not."""
        if self._is_at_end or self._rest.has_rest:
            return None
        try:
            body = self._without_length
            has_come = has_arrived(self._socket) if body is None else body.has_come()
        except (OSError, ValueError) as error:
            raise_translated(error)
        return None if has_come else Readable(self._socket, self._timeout)

    def read_into(self, view: memoryview) -> int:
        """Read what has arrived, at least a byte; 0 at the end of the body.

        Raises:
            httpx.TransportError: the body stalled or broke off.
        """
        if self._is_at_end:
            return 0
        try:
            if self._without_length is not None:
                piece = self._without_length.read(len(view), self._timeout)
                view[: len(piece)] = piece
                self._is_at_end = not piece
                return len(piece)
            count = self._read_sized(view, self._left or 0)
        except (OSError, ValueError) as error:
            raise_translated(error)
        return count

    def _read_sized(self, view: memoryview, left: int) -> int:
        came_with_head = self._rest.has_rest
        most = min(len(view), left)
        view = view[:most]
        while (count := self._rest.read_into(view)) is None:
            if not is_readable(self._socket, self._timeout):
                raise TimeoutError
        if not count:
            raise httpx.RemoteProtocolError("the body ended early")
        # TLS returns at most one record (16 KiB) per read: gather several, but never so many that a caller
        # waits more than twice as long for the first bytes.
        enough = min(most, max(1, min(self._received, _GATHERED)))
        if count < enough and not came_with_head:
            count = self._gather(view, count, enough)
        self._received += count
        self._left = left - count
        self._is_at_end = count == left
        return count

    def _gather(self, view: memoryview, count: int, enough: int) -> int:
        """Add to the first `count` bytes of `view` what arrives soon; a stall must not delay those bytes."""
        stop = len(view)
        receive = self._socket.recv_into  # called for every TLS record, so the loop must be fast
        try:
            while count < enough:
                try:
                    received = receive(view[count:stop], stop - count)
                except NOTHING_YET:
                    if not is_readable(self._socket, _SOON_SECONDS):
                        break
                    continue
                if not received:
                    break
                count += received
        except OSError:
            pass  # return what has arrived; the next read raises the error again
        return count

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces, for httpx."""
        view = memoryview(bytearray(_PIECE))
        while count := self.read_into(view):
            yield bytes(view[:count])

    def close(self) -> None:
        """Keep the connection if the body was read to its end, else close it.

        What may come after the body is looked for when the connection is about to be used again.
        """
        end, self._end = self._end, None
        if end is not None:
            end(is_reusable=self._is_at_end and self._is_kept_alive and not self._is_followed())

    def _is_followed(self) -> bool:
        if self._without_length is not None:
            return self._without_length.is_followed
        return self._rest.has_rest


class End(Protocol):
    """Called once when a request ends."""

    def __call__(self, *, is_reusable: bool) -> None:
        """`is_reusable`: whether the connection can serve another request."""


def raise_translated(error: Exception) -> NoReturn:
    """Raise an exception of the standard library, or an `Unreadable`, as one of httpx.

    Raises:
        httpx.ReadTimeout: the socket brought nothing in time.
        NotHttp: the answer cannot be parsed.
        httpx.ReadError: the connection broke off.
    """
    if isinstance(error, TimeoutError):
        raise httpx.ReadTimeout("no answer in time") from error
    if isinstance(error, Unreadable):
        raise NotHttp(str(error)) from error
    raise httpx.ReadError("the connection broke off") from error
