"""Parses the `Range` header of a request for an object of known size (RFC 9110, section 14.2)."""

import re
from dataclasses import dataclass

_SINGLE = re.compile(r"bytes=(?P<first>[0-9]*)-(?P<last>[0-9]*)", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range is well-formed, but contains no byte of the object."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range of `length` bytes that starts at offset `first`."""

    first: int
    length: int

    def content_range(self, size: int) -> str:
        """The `Content-Range` that names this span of an object of `size` bytes."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{size}"


def requested_span(header: str | None, size: int) -> Span | None:
    """The range that the header asks for; None if the whole object is to be sent.

    A header that is malformed or asks for several ranges is ignored, as R2 does.

    Raises:
        Unsatisfiable: the range starts at or after the end, or asks for the last 0 bytes.
    """
    match = _SINGLE.fullmatch(header.strip()) if header is not None else None
    if match is None or match[0].endswith("=-"):
        return None
    if not match["first"]:
        length = min(int(match["last"]), size)
        if length == 0:
            raise Unsatisfiable
        return Span(size - length, length)
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else max(first, size - 1)
    if last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return Span(first, min(last, size - 1) - first + 1)
