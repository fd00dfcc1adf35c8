"""An answer of http.client's, read with more mistrust: of its length, its pace and what follows it."""

import math
import re
import socket
import ssl
import time
from http.client import HTTPException, HTTPMessage, HTTPResponse
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from typing import Any

import h11

_HTTP_1_0, _HTTP_1_1 = 10, 11
_WITHOUT_BODY = (204, 304)
_AT_ONCE = -math.inf

_HEAD_MAX = 256 * 2**10
"""Bytes of a head; about as many as curl takes."""
_SKIPPED_MAX = 2**20
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM_LINE = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")
_IDENTITY = re.compile(rb"\ntransfer-encoding:[ \t]*identity[ \t]*\r?(?=\n)", re.I)
_TLS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake begin (RFC 8446, 5.1)."""
_BEGINNING = b"HTTP/"
_NOT_HTTP = "what it answers is not HTTP"
_BROKE_OFF = "the body ends before its last chunk"
_NO_CHUNKS = "the chunks of its answer are not HTTP"
_LINE_END = b"\r\n"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
"""A size, and what nobody has to understand of it (RFC 9112, 7.1)."""
_CHUNK_LINE_MAX = 4096
_QUESTION = h11.Request(method="GET", target="/", headers=[("Host", "any")])


class Unreadable(HTTPException):
    """A head that cannot be read; the text is a clause that says so of the server."""


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
        """Read the head, which is here.

        Raises:
            ConnectionError: it broke off.
            Unreadable: it cannot be read, or leaves in doubt where the body ends (RFC 9112, 6.3).
        """
        head = parsed_head(self._incoming.take_head())
        self.version = _HTTP_1_1 if head.http_version == b"1.1" else _HTTP_1_0
        self.code = self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        # Nothing of http.client looks at them any more.
        self.headers = self.msg = HTTPMessage()
        fields = [(name, value) for name, value in head.headers]
        # h11 lets nothing else pass (RFC 9112, 6.1).
        self.chunked = any(name == b"transfer-encoding" for name, _ in fields)
        self.chunk_left = None
        length = next((int(value) for name, value in fields if name == b"content-length"), None)
        options = {
            each.strip().lower()
            for name, value in fields
            if name == b"connection"
            for each in value.split(b",")
        }
        is_kept = b"close" not in options and (head.http_version == b"1.1" or b"keep-alive" in options)
        if self.chunked:
            # What is in chunks has no length but theirs; with another one besides, somebody may be confused.
            self.will_close = not is_kept or length is not None
            fields = [each for each in fields if each[0] != b"content-length"]
            length = None
        else:
            if self.status in _WITHOUT_BODY:
                length = 0
            self.will_close = not is_kept or length is None
        self.length = length
        self.raw_headers = fields

    # http.client takes whatever int() takes for a size, and any two bytes for the end of a chunk. Its body is
    # read by these two methods alone (the same from Python 3.11 to 3.14).
    def _get_chunk_left(self) -> int | None:
        left = self.chunk_left
        if left:
            return left
        if left is not None:
            end = self.fp.read(len(_LINE_END))
            if len(end) < len(_LINE_END):
                raise ConnectionResetError(_BROKE_OFF)
            if end != _LINE_END:
                raise Unreadable(_NO_CHUNKS)
        left = self._read_next_chunk_size()
        if left == 0:
            self._read_and_discard_trailer()  # type: ignore[attr-defined]
            self._close_conn()  # type: ignore[attr-defined]
            left = None
        self.chunk_left = left
        return left

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_CHUNK_LINE_MAX)
        if not line:
            raise ConnectionResetError(_BROKE_OFF)
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise Unreadable(_NO_CHUNKS)
        return int(size[1], 16)


def parsed_head(head: bytes) -> h11.Response:
    """The head of an answer, with names in lower case, and values without the blanks around them.

    Raises:
        Unreadable: it is none.
    """
    if head.startswith(_TLS):
        raise Unreadable("it speaks TLS, and was asked in plain http: is it https?")
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
    try:
        reader.send(_QUESTION)
        # RFC 2616 had a name for no encoding at all.
        reader.receive_data(_IDENTITY.sub(b"", head))
        event = reader.next_event()
    except (h11.ProtocolError, ValueError) as error:
        raise Unreadable(_NOT_HTTP) from error
    if not isinstance(event, h11.Response):
        raise Unreadable(_NOT_HTTP if event is h11.NEED_DATA else "it answers what was not asked for")
    return event


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
        piece = bytearray(DEFAULT_BUFFER_SIZE)
        while not self._has_head() and len(self._gathered) < _HEAD_MAX and self._skipped < _SKIPPED_MAX:
            count: int | None = self._raw.readinto(piece)
            if count is None:
                return False
            if not count:
                self.is_at_end = True
                return True
            self.has_begun = True
            self._gathered += piece[:count]
        return True

    def take_head(self) -> bytes:
        """What was gathered, to the end of the head.

        Raises:
            ConnectionError: it broke off.
            Unreadable: it has no end.
        """
        end = _END_OF_HEAD.search(self._gathered)
        if end is None and self._may_be_http():
            if self.is_at_end:
                raise ConnectionError("the head broke off")
            raise Unreadable("its answer has a head without an end")
        head = bytes(self._gathered[: end.end() if end else None])
        del self._gathered[: len(head)]
        return head

    def _has_head(self) -> bool:
        while (end := _END_OF_HEAD.search(self._gathered)) and _INTERIM_LINE.match(self._gathered):
            self._skipped += end.end()
            del self._gathered[: end.end()]
        # What is no HTTP may have no end either.
        return end is not None or not self._may_be_http()

    def _may_be_http(self) -> bool:
        return self._gathered.startswith(_BEGINNING[: len(self._gathered)])

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
        self._incoming = incoming

    def close(self) -> None:
        if not self.closed:
            self._incoming.until = _AT_ONCE
            self.is_followed = bool(self.peek(1))
        super().close()
