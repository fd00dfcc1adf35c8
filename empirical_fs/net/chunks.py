"""A body without a length: one in chunks, or one that ends with the connection."""

import re
import socket
import time
from io import BufferedReader, RawIOBase
from typing import Any

from empirical_fs.net.heads import ArrivingHead, Unreadable
from empirical_fs.work.waits import is_readable

_BROKE_OFF = "the body ends before its last chunk"
_NO_CHUNKS = "the chunks of its answer are not HTTP"
_LINE_END = b"\r\n"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
"""A chunk size in hexadecimal, and extensions, which a recipient ignores (RFC 9112, 7.1.1)."""
_CHUNK_LINE_MAX = 4096
_TRAILER_LINE_MAX = 2**16


class BodyWithoutLength:
    """A body that must come within a time limit, even if it comes byte by byte."""

    def __init__(self, connected: socket.socket, rest: ArrivingHead, *, is_chunked: bool) -> None:
        """Read what comes after a head: the bytes in `rest`, then those of its socket `connected`."""
        self._source = _Source(connected, rest)
        self._reader = BufferedReader(self._source)
        self._is_chunked = is_chunked
        self._left: int | None = 0
        """Bytes that are left of the chunk; None after the last one."""
        self._has_begun = False

    @property
    def is_followed(self) -> bool:
        """Whether bytes that do not belong to the body have arrived."""
        self._source.pause = 0
        return bool(self._reader.peek(1))

    def has_come(self) -> bool:
        """Whether a byte of the body, or its end, can be read without waiting.

        Raises:
            OSError: the connection broke off.
        """
        self._source.pause = 0
        return bool(self._reader.peek(1)) or self._source.is_at_end

    def read(self, most: int, seconds: float) -> bytes:
        """What has come, at least a byte and at most `most`; empty at the end of the body.

        No read from the socket begins later than `seconds` from now.

        Raises:
            OSError: the body broke off, or did not come in time.
            Unreadable: its chunks cannot be parsed.
        """
        self._source.until, self._source.pause = time.monotonic() + seconds, seconds
        if not self._is_chunked:
            return self._reader.read1(most)
        if self._left == 0:
            self._left = self._next_chunk()
        if self._left is None:
            return b""
        piece = self._reader.read1(min(most, self._left))
        if not piece:
            raise ConnectionResetError(_BROKE_OFF)
        self._left -= len(piece)
        return piece

    def _next_chunk(self) -> int | None:
        """The size of the next chunk; None if the last one is over, and the trailer is read."""
        if self._has_begun:
            end = self._reader.read(len(_LINE_END))
            if len(end) < len(_LINE_END):
                raise ConnectionResetError(_BROKE_OFF)
            if end != _LINE_END:
                raise Unreadable(_NO_CHUNKS)
        self._has_begun = True
        line = self._reader.readline(_CHUNK_LINE_MAX)
        if not line:
            raise ConnectionResetError(_BROKE_OFF)
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise Unreadable(_NO_CHUNKS)
        if left := int(size[1], 16):
            return left
        while (line := self._reader.readline(_TRAILER_LINE_MAX)) not in (_LINE_END, b"\n", b""):
            if not line.endswith(b"\n"):
                raise Unreadable(_NO_CHUNKS)
        return None


class _Source(RawIOBase):
    """Reads until a time of the monotonic clock, though each read may wait."""

    def __init__(self, connected: socket.socket, rest: ArrivingHead) -> None:
        self.until = 0.0
        self.pause = 0.0
        """How long a read waits, in seconds; 0 for not at all."""
        self.is_at_end = False
        self._socket = connected
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, view: Any) -> int | None:
        if self.pause and not self._rest.has_rest and time.monotonic() > self.until:
            raise TimeoutError
        while (count := self._rest.read_into(view)) is None:
            if not self.pause:
                return None  # as a non-blocking raw file does
            if not is_readable(self._socket, self.pause):
                raise TimeoutError
        self.is_at_end = not count
        return count
