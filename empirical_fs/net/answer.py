"""An answer of http.client's, read with more mistrust: of its length, its pace and what follows it."""

import math
import re
import socket
import ssl
import time
from http.client import HTTPException, HTTPResponse
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from typing import Any

_SWITCHING_PROTOCOLS = 101
_INTERIM = range(_SWITCHING_PROTOCOLS + 1, 200)
_AT_ONCE = -math.inf

_HEAD_MAX = DEFAULT_BUFFER_SIZE
"""Bytes of a head that are gathered without a thread that waits; as many as fit into the reader's buffer."""
_SKIPPED_MAX = 2**20
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM_LINE = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")


class Answer(HTTPResponse):
    """An answer that comes in the time that it is allowed, however it drips, and has one length."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        """Read from `sock`; the head may take as long as the socket may pause."""
        super().__init__(sock, *args, **named)
        self.connected = sock
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._incoming = _Incoming(self.fp.detach())
        self._reader = self.fp = _Reader(self._incoming)
        self.allow(sock.gettimeout())

    @property
    def is_followed(self) -> bool:
        """Whether more had come than belongs to it when it was closed."""
        return self._reader.is_followed

    def allow(self, seconds: float | None) -> None:
        """Begin no read by the file object later than so many seconds from now."""
        self._incoming.until = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def has_begun(self) -> bool:
        """Whether something of the head has come."""
        return self._incoming.has_begun

    def has_head(self) -> bool:
        """Whether the head is here, so that `begin` does not wait; or what makes it a bad one, or very long.

        Raises:
            OSError: the connection broke off.
        """
        connected = self.connected
        timeout = connected.gettimeout()
        connected.settimeout(0)
        try:
            return self._incoming.gather_head()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            connected.settimeout(timeout)

    def has_come(self) -> bool:
        """Whether there is something of it to be read, or its end, without waiting.

        Raises:
            OSError: the connection broke off.
        """
        connected = self.connected
        timeout = connected.gettimeout()
        self._incoming.until = math.inf
        connected.settimeout(0)
        try:
            return bool(self._reader.peek(1)) or self._incoming.is_at_end
        except (BlockingIOError, ssl.SSLWantReadError):
            return False  # of a TLS record that has come a part may be there
        finally:
            connected.settimeout(timeout)

    def begin(self) -> None:
        """Read the head, and those of interim answers before it (RFC 9110, 15.2).

        Raises:
            HTTPException: it cannot be read, or leaves in doubt where the body ends (RFC 9112, 6.3).
        """
        try:
            super().begin()
            while self.status in _INTERIM:
                self.headers = self.msg = None  # type: ignore[assignment] # as before the first one
                super().begin()
        except (TypeError, LookupError, AttributeError) as error:
            # The parser of mail takes the parameters of a Content-Type apart, and is not always up to it.
            raise HTTPException("a head that cannot be read") from error
        if self._reader.is_cut:
            # To http.client, that is the end of the head; half a value may be left of the last header.
            raise HTTPException("the head broke off")
        # Not all servers keep to ASCII.
        self.raw_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
        ]
        lengths = {value for name, value in self.raw_headers if name == b"content-length"}
        encodings = [value.lower() for name, value in self.raw_headers if name == b"transfer-encoding"]
        # RFC 2616 had a name for no encoding at all.
        if len(lengths) > 1 or encodings not in ([], [b"chunked"], [b"identity"]):
            raise HTTPException("a body of several lengths, or in an encoding that was not asked for")
        if self.status == _SWITCHING_PROTOCOLS or (lengths and encodings):
            self.will_close = True
        if b"chunked" in encodings:
            # What is in chunks has no length but theirs (RFC 9112, 6.3).
            self.raw_headers = [each for each in self.raw_headers if each[0] != b"content-length"]


class _Incoming(RawIOBase):
    """What comes by a socket until a moment of the monotonic clock; its own timeout begins anew each time."""

    def __init__(self, raw: RawIOBase) -> None:
        self.until = 0.0
        self.is_at_end = False
        self.has_begun = False
        self._raw = raw
        self._gathered = bytearray()
        self._skipped = 0

    def gather_head(self) -> bool:
        """Take in what has come of a head; whether it is all there, or no more is to be taken in.

        Interim answers are left out (RFC 9110, 15.2), however many come.
        """
        piece = bytearray(_HEAD_MAX)
        while not self._has_head() and len(self._gathered) < _HEAD_MAX and self._skipped < _SKIPPED_MAX:
            count: int | None = self._raw.readinto(memoryview(piece)[: _HEAD_MAX - len(self._gathered)])
            if count is None:
                return False
            if not count:
                return True
            self.has_begun = True
            self._gathered += piece[:count]
        return True

    def _has_head(self) -> bool:
        while (end := _END_OF_HEAD.search(self._gathered)) and _INTERIM_LINE.match(self._gathered):
            self._skipped += end.end()
            del self._gathered[: end.end()]
        # What is no HTTP may have no end either.
        return end is not None or (b"\n" in self._gathered and not self._gathered.startswith(b"HTTP/"))

    def readable(self) -> bool:
        return True

    def readinto(self, view: Any) -> int | None:
        if self._gathered:
            count = min(len(view), len(self._gathered))
            view[:count] = self._gathered[:count]
            del self._gathered[:count]
            return count
        if self.until == _AT_ONCE:
            return None  # as a file object does that has nothing without waiting
        if time.monotonic() > self.until:
            raise TimeoutError
        received: int | None = self._raw.readinto(view)
        self.is_at_end = received == 0
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reader(BufferedReader):
    """The buffer before it, which http.client throws away with all that is left in it."""

    def __init__(self, incoming: _Incoming) -> None:
        super().__init__(incoming)
        self.is_followed = False
        self.is_cut = False
        """Whether the end has come where a line was to be read."""
        self._incoming = incoming

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        # One that is too long for http.client has no end either, and is an error of its own.
        self.is_cut = self.is_cut or (not line.endswith(b"\n") and self._incoming.is_at_end)
        return line

    def close(self) -> None:
        if not self.closed:
            self._incoming.until = _AT_ONCE
            self.is_followed = bool(self.peek(1))
        super().close()
