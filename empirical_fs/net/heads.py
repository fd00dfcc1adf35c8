"""Reads the head of an answer as it arrives, skips interim (1xx) ones, and parses it strictly by h11."""

import math
import re
import time
from http.client import HTTPException
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from typing import Any

import h11

_AT_ONCE = -math.inf
_HEAD_MAX = 256 * 2**10
"""Bytes of a head at most; curl's limit is about the same."""
_SKIPPED_MAX = 2**20
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM_LINE = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")
_IDENTITY = re.compile(rb"\ntransfer-encoding:[ \t]*identity[ \t]*\r?(?=\n)", re.I)
_TLS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake begin (RFC 8446, 5.1)."""
_BEGINNING = b"HTTP/"
_NOT_HTTP = "what it answers is not HTTP"
_QUESTION = h11.Request(method="GET", target="/", headers=[("Host", "any")])


class Unreadable(HTTPException):
    """A head that cannot be parsed; the text says why, as a clause about the server."""


def parsed_head(head: bytes) -> h11.Response:
    """The parsed head of an answer: names in lower case, values without surrounding blanks.

    Raises:
        Unreadable: it is not a valid head.
    """
    if head.startswith(_TLS):
        raise Unreadable("it speaks TLS, and was asked in plain http: is it https?")
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
    try:
        reader.send(_QUESTION)
        # "identity" was the name for no encoding in RFC 2616; h11 rejects it.
        reader.receive_data(_IDENTITY.sub(b"", head))
        event = reader.next_event()
    except (h11.ProtocolError, ValueError) as error:
        raise Unreadable(_NOT_HTTP) from error
    if not isinstance(event, h11.Response):
        raise Unreadable(_NOT_HTTP if event is h11.NEED_DATA else "it answers what was not asked for")
    return event


class GatheredSocket(RawIOBase):
    """Reads from a socket until a time of the monotonic clock: a socket's timeout limits each read only."""

    def __init__(self, raw: RawIOBase) -> None:
        """Read from `raw`, once `until` is set."""
        self.until = 0.0
        self.is_at_end = False
        """Whether the other side has sent its last byte."""
        self.has_begun = False
        """Whether at least one byte of the head has arrived."""
        self._raw = raw
        self._gathered = bytearray()
        self._skipped = 0

    def gather_head(self) -> bool:
        """Read what has arrived of the head; True if it is complete, or if reading more is useless.

        Interim answers are skipped (RFC 9110, 15.2), up to 1 MiB of them.
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
        """The bytes that were read, up to the end of the head.

        Raises:
            ConnectionError: the connection broke off within the head.
            Unreadable: the head is too long.
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
        """Drop complete interim heads; whether a final head is complete, or the bytes are not HTTP."""
        while (end := _END_OF_HEAD.search(self._gathered)) and _INTERIM_LINE.match(self._gathered):
            self._skipped += end.end()
            del self._gathered[: end.end()]
        # An answer that is not HTTP may never have the end of a head.
        return end is not None or not self._may_be_http()

    def _may_be_http(self) -> bool:
        return self._gathered.startswith(_BEGINNING[: len(self._gathered)])

    def readable(self) -> bool:
        """True, as io.RawIOBase requires of a readable object."""
        return True

    def readinto(self, view: Any) -> int | None:
        """Read the bytes after the head, buffered ones first; None if a read would wait and must not.

        Raises:
            TimeoutError: `until` has passed.
            OSError: the connection broke off, or the socket's own timeout ended the read.
        """
        if self._gathered:
            count = min(len(view), len(self._gathered))
            view[:count] = self._gathered[:count]
            del self._gathered[:count]
            return count
        if self.until == _AT_ONCE:
            return None  # as a non-blocking raw file does
        if time.monotonic() > self.until:
            raise TimeoutError
        received: int | None = self._raw.readinto(view)
        self.is_at_end = received == 0
        return received

    def close(self) -> None:
        """Close the underlying file object."""
        self._raw.close()
        super().close()


class RestReader(BufferedReader):
    """The buffer of an answer; it notes whether bytes are left, for http.client would just drop them."""

    def __init__(self, incoming: GatheredSocket) -> None:
        """Read from `incoming`."""
        super().__init__(incoming)
        self.is_followed = False
        """Whether bytes were left when it was closed."""
        self._incoming = incoming

    def close(self) -> None:
        """Note whether bytes are left, then close."""
        if not self.closed:
            self._incoming.until = _AT_ONCE
            self.is_followed = bool(self.peek(1))
        super().close()
