"""Reads the head of an answer as it arrives, skips interim (1xx) ones, and parses it strictly.

The parser is ours since h11, which is strict too, takes a tenth of a millisecond for a head: as long as all
the rest of a small request's way through this package. A test compares the two.
"""

import re
import socket
import ssl
from functools import lru_cache
from io import DEFAULT_BUFFER_SIZE
from typing import NamedTuple

NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)
"""Raised by a socket that does not block; perhaps only a part of a TLS record has arrived."""

_HEAD_MAX = 256 * 2**10
"""Bytes of a head at most; curl's limit is about the same."""
_SKIPPED_MAX = 2**20
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_INTERIM_LINE = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")
_TLS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake begin (RFC 8446, 5.1)."""
_BEGINNING = b"HTTP/"
_NOT_HTTP = "what it answers is not HTTP"

_STATUS_LINE = re.compile(r"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_NEVER = re.compile(r"[\x00\v\f\r]")
"""What no line has, once the ends of lines are `\\n`."""
_FOLD = re.compile(r"\n[ \t]+")
_LENGTH = re.compile(r"[0-9]{1,20}")
_NAMES_KNOWN, _NAME_KNOWN_MAX = 256, 64
"""How many names are remembered, and up to which length: a server may send very long ones."""
_FIRST_FINAL = 200
_WITHOUT_BODY = (204, 304)
_BLANKS = " \t"


class Unreadable(ValueError):
    """A head or a body that cannot be parsed; the text says why, as a clause about the server."""


class Head(NamedTuple):
    """The head of an answer."""

    status: int
    headers: dict[str, str]
    """The names are in lower case, the values without surrounding blanks, joined by `, ` if there are several
    (RFC 9110, 5.3)."""
    length: int | None
    """The length of the body in bytes; None if it is in chunks, or ends with the connection."""
    is_chunked: bool
    is_kept: bool
    """Whether the connection can serve another request after the body."""


def parsed_head(head: bytes) -> Head:
    """The parsed head of an answer (RFC 9112, 4 to 6.3).

    Raises:
        Unreadable: it is not a valid head, or does not say clearly where the body ends.
    """
    if head.startswith(_TLS):
        raise Unreadable("it speaks TLS, and was asked in plain http: is it https?")
    first, _, rest = _decoded(head).replace("\r\n", "\n").partition("\n")
    status_line = _STATUS_LINE.fullmatch(first)
    is_whole = rest == "\n" or (rest.endswith("\n\n") and rest[0] not in _BLANKS)
    if status_line is None or not is_whole or _NEVER.search(first) or _NEVER.search(rest):
        raise Unreadable(_NOT_HTTP)
    version, status = status_line[1], int(status_line[2])
    if status < _FIRST_FINAL:
        raise Unreadable("it answers what was not asked for")
    if "\n " in rest or "\n\t" in rest:
        rest = _FOLD.sub(" ", rest)  # a recipient may do that (RFC 9112, 5.2)
    headers = _headers(rest)
    length = _length(headers)
    is_chunked = _is_chunked(headers)
    options = headers.get("connection", "").lower()
    names = [each.strip(_BLANKS) for each in options.split(",")] if options else ()
    is_kept = "close" not in names and (version == "1.1" or "keep-alive" in names)
    if is_chunked:
        # The length of a chunked body is that of its chunks. An additional Content-Length may confuse another
        # party, so the connection is not used again (RFC 9112, 6.3).
        is_kept = is_kept and length is None
        headers.pop("content-length", None)
        length = None
    else:
        if status in _WITHOUT_BODY:
            length = 0
        is_kept = is_kept and length is not None
    return Head(status, headers, length, is_chunked, is_kept)


def _decoded(head: bytes) -> str:
    """The text of a head. Values may have any bytes; those of UTF-8 are likely to be meant as that."""
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _headers(lines: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines.rstrip("\n").split("\n") if lines != "\n" else ():
        name, colon, value = line.partition(":")
        name = _known_name(name) if len(name) <= _NAME_KNOWN_MAX else _valid_name(name)
        if not (colon and name):
            raise Unreadable(_NOT_HTTP)
        value = value.strip(_BLANKS)
        if name == "transfer-encoding" and value.lower() == "identity":
            continue  # the name for no encoding in RFC 2616
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _valid_name(name: str) -> str:
    """The name of a header in lower case; empty if it is not a valid one."""
    return name.lower() if _NAME.fullmatch(name) else ""


_known_name = lru_cache(_NAMES_KNOWN)(_valid_name)


def _length(headers: dict[str, str]) -> int | None:
    """The Content-Length; the same number may be repeated (RFC 9110, 8.6)."""
    text = headers.get("content-length")
    if text is None:
        return None
    if "," in text:
        first, *others = {each.strip(_BLANKS) for each in text.split(",")}
        if others:
            raise Unreadable(_NOT_HTTP)
        text = headers["content-length"] = first
    if _LENGTH.fullmatch(text) is None:
        raise Unreadable(_NOT_HTTP)
    return int(text)


def _is_chunked(headers: dict[str, str]) -> bool:
    coding = headers.get("transfer-encoding")
    if coding is None:
        return False
    if coding.lower() != "chunked":
        raise Unreadable(_NOT_HTTP)
    return True


class ArrivingHead:
    """Reads from a socket up to the end of a head, and gives what came with it to the reader of the body."""

    __slots__ = ("_gathered", "_skipped", "_socket", "has_begun", "is_at_end")

    def __init__(self, connected: socket.socket) -> None:
        """Read from the socket `connected`, which does not block."""
        self.is_at_end = False
        """Whether the other side has sent its last byte."""
        self.has_begun = False
        """Whether at least one byte of the head has arrived."""
        self._socket = connected
        self._gathered = bytearray()
        self._skipped = 0

    @property
    def has_rest(self) -> bool:
        """Whether bytes that came with the head have not been read yet."""
        return bool(self._gathered)

    def has_come(self) -> bool:
        """Read what has arrived; True if the head is complete, or if reading more is useless.

        Interim answers are skipped (RFC 9110, 15.2), up to 1 MiB of them.

        Raises:
            OSError: the connection broke off.
        """
        piece = bytearray(DEFAULT_BUFFER_SIZE)
        while not self._is_enough() and len(self._gathered) < _HEAD_MAX and self._skipped < _SKIPPED_MAX:
            try:
                count = self._socket.recv_into(piece)
            except NOTHING_YET:
                return False
            if not count:
                self.is_at_end = True
                return True
            self.has_begun = True
            self._gathered += memoryview(piece)[:count]
        return True

    def take(self) -> Head:
        """The head, which has come.

        Raises:
            ConnectionError: the connection broke off within the head.
            Unreadable: it is too long, or as `parsed_head`.
        """
        end = _END_OF_HEAD.search(self._gathered)
        if end is None and self._may_be_http():
            if self.is_at_end:
                raise ConnectionError("the head broke off")
            raise Unreadable("its answer has a head without an end")
        head = bytes(self._gathered[: end.end() if end else None])
        del self._gathered[: len(head)]
        return parsed_head(head)

    def read_into(self, view: memoryview) -> int | None:
        """Read the bytes after the head, first those that came with it; 0 at the end of the connection.

        None if none have arrived.

        Raises:
            OSError: the connection broke off.
        """
        if not self._gathered:
            try:
                # Without the length, SSLSocket makes another memoryview to compute it.
                count = self._socket.recv_into(view, len(view))
            except NOTHING_YET:
                return None
            self.is_at_end = not count
            return count
        count = min(len(view), len(self._gathered))
        view[:count] = memoryview(self._gathered)[:count]
        del self._gathered[:count]
        return count

    def _is_enough(self) -> bool:
        """Drop complete interim heads; whether a final head is complete, or the bytes are not HTTP."""
        while (end := _END_OF_HEAD.search(self._gathered)) and _INTERIM_LINE.match(self._gathered):
            self._skipped += end.end()
            del self._gathered[: end.end()]
        # An answer that is not HTTP may never have the end of a head.
        return end is not None or not self._may_be_http()

    def _may_be_http(self) -> bool:
        return self._gathered.startswith(_BEGINNING[: len(self._gathered)])
