"""The head of an answer: gathered as it comes, without those that are interim, and parsed by the standard."""

import math
import re
import time
from http.client import HTTPException
from io import DEFAULT_BUFFER_SIZE, BufferedReader, RawIOBase
from typing import Any

import h11

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
_QUESTION = h11.Request(method="GET", target="/", headers=[("Host", "any")])


class Unreadable(HTTPException):
    """A head that cannot be read; the text is a clause that says so of the server."""


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


class GatheredSocket(RawIOBase):
    """What comes by a socket until a moment of the monotonic clock; its own timeout begins anew each time."""

    def __init__(self, raw: RawIOBase) -> None:
        """Read from `raw`; nothing before `until` is set."""
        self.until = 0.0
        self.is_at_end = False
        """Whether the other side has sent its last byte."""
        self.has_begun = False
        """Whether something of the head has come."""
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
        """As a file object says it."""
        return True

    def readinto(self, view: Any) -> int | None:
        """What was gathered and is no head, then what comes; None where a read would wait and must not.

        Raises:
            TimeoutError: it is too late.
            OSError: the connection broke off, or the socket's own timeout is over.
        """
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
        """Read nothing more."""
        self._raw.close()
        super().close()


class RestReader(BufferedReader):
    """The buffer before it, which http.client throws away with all that is left in it."""

    def __init__(self, incoming: GatheredSocket) -> None:
        """Read from `incoming`."""
        super().__init__(incoming)
        self.is_followed = False
        """Whether something was left in it when it was closed."""
        self._incoming = incoming

    def close(self) -> None:
        """Close it, and see first whether something is left."""
        if not self.closed:
            self._incoming.until = _AT_ONCE
            self.is_followed = bool(self.peek(1))
        super().close()
