"""An http.client response with stricter checks: of its length, its duration and what follows it."""

import math
import re
import socket
import ssl
import time
from http.client import HTTPMessage, HTTPResponse
from typing import Any

from empirical_fs.net.heads import GatheredSocket, RestReader, Unreadable, parsed_head

_HTTP_1_0, _HTTP_1_1 = 10, 11
_WITHOUT_BODY = (204, 304)

_BROKE_OFF = "the body ends before its last chunk"
_NO_CHUNKS = "the chunks of its answer are not HTTP"
_LINE_END = b"\r\n"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
"""A chunk size in hexadecimal, and extensions, which a recipient ignores (RFC 9112, 7.1.1)."""
_CHUNK_LINE_MAX = 4096


class Answer(HTTPResponse):
    """An answer that must come within a time limit, even if it comes byte by byte, and has one length."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        """Read from `sock`; the head may take as long as the socket's timeout."""
        super().__init__(sock, *args, **named)
        self.connected = sock
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self._incoming = GatheredSocket(self.fp.detach())
        self._reader = self.fp = RestReader(self._incoming)
        self.allow(sock.gettimeout())

    @property
    def is_followed(self) -> bool:
        """Whether bytes that do not belong to the answer had arrived when it was closed."""
        return self._reader.is_followed

    def allow(self, seconds: float | None) -> None:
        """Let the file object start no read later than `seconds` from now; None means no limit."""
        self._incoming.until = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def has_begun(self) -> bool:
        """Whether at least one byte of the head has arrived."""
        return self._incoming.has_begun

    def has_head(self) -> bool:
        """Whether `begin` would not wait: the head has arrived, or enough of it to reject it.

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
        """Whether a byte of the body, or its end, can be read without waiting.

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
            return False  # perhaps only a part of a TLS record has arrived
        finally:
            connected.settimeout(timeout)

    def begin(self) -> None:
        """Parse the head, which has arrived (see `has_head`).

        Raises:
            ConnectionError: the connection broke off within the head.
            Unreadable: it cannot be parsed, or does not say clearly where the body ends (RFC 9112, 6.3).
        """
        head = parsed_head(self._incoming.take_head())
        self.version = _HTTP_1_1 if head.http_version == b"1.1" else _HTTP_1_0
        self.code = self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        # http.client does not read them after this method.
        self.headers = self.msg = HTTPMessage()
        fields = [(name, value) for name, value in head.headers]
        # h11 rejects every transfer coding but "chunked" (RFC 9112, 6.1).
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
            # The length of a chunked body is that of its chunks. An additional Content-Length may confuse
            # another party, so the connection is not used again (RFC 9112, 6.3).
            self.will_close = not is_kept or length is not None
            fields = [each for each in fields if each[0] != b"content-length"]
            length = None
        else:
            if self.status in _WITHOUT_BODY:
                length = 0
            self.will_close = not is_kept or length is None
        self.length = length
        self.raw_headers = fields

    # http.client accepts as a size whatever int() accepts, and any two bytes as the end of a chunk. It reads
    # a chunked body only by these two methods (the same from Python 3.11 to 3.14).
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
