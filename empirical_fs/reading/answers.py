"""Whether the store's answer to a range GET is what was asked for; pure checks, no I/O.

The facts about R2 and S3 are from `api.md`; those about ranges from RFC 9110, chapter 14.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.errors import BadAnswer, ContentChanged, StoreUnavailable, UrlRefused
from empirical_fs.retry import is_busy, retry_after

_OK, _PARTIAL, _PRECONDITION_FAILED, _RANGE_NOT_SATISFIABLE = 200, 206, 412, 416
_NOT_FOUND = (404, 410)
_URL_REFUSED = (400, 401, 403, *_NOT_FOUND)

_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})/(?P<total>[0-9]{1,19}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(?P<total>[0-9]{1,19})")
_LENGTH = re.compile(r"[0-9]{1,19}")
_SIZE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Extent:
    """What the body of an answer holds."""

    start: int
    """The offset in the object of the body's first byte."""
    stop: int
    """The offset after its last byte."""
    total: int | None
    """The size of the object in bytes; None where the answer does not say."""
    etag: str | None
    """The object's ETag; None where the answer has none that could be sent back in If-Match."""
    is_announced: bool = True
    """Whether the answer says how long its body is; if not, only its end tells whether it is the object."""

    def is_part(self, start: int, stop: int) -> bool:
        """Whether it begins at `start`, goes no farther than `stop`, and can be believed as it arrives."""
        return self.start == start and self.stop <= stop and self.is_announced


def check_answer(  # noqa: PLR0913, PLR0917 - what was asked, what is known and what came: no part stands alone
    status: int, headers: Mapping[str, str], start: int, stop: int, size: int | None, etag: str | None
) -> Extent:
    """What the body holds of an object of `size` bytes, of which `start` to `stop` were asked for.

    A 206, and a 200 with a Content-Range, hold a part of the object; a 200 without one holds it all.
    `size` and `etag` are None where they are not known yet.

    Raises:
        UrlRefused: 400, 401, 403, 404 or 410.
        ContentChanged: 412, 416, or an object of another size or ETag.
        StoreUnavailable: 429, 5xx and the like.
        BadAnswer: anything else that does not fit.
    """
    _check_status(status, headers)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswer("the store sent a compressed body, which was not asked for")
    extent = _extent(status, headers, size)
    if size is not None and extent.total not in (None, size):
        if etag is not None and status == _OK and not headers.keys() & {"etag", "content-range"}:
            raise BadAnswer("the store sent something else than the object, without its ETag")
        raise ContentChanged(f"the object has {extent.total} bytes, the listing says {size}")
    if etag is not None and headers.get("etag", etag) != etag:
        raise ContentChanged("the object has another ETag than before")
    whole = extent.start == 0 and extent.stop in (extent.total, size)
    if not whole and (extent.start != start or extent.stop > stop):
        raise BadAnswer("the store sent other bytes than were asked for")
    return extent


def size_from_answer(status: int, headers: Mapping[str, str]) -> int:
    """The size in bytes of an object, from the answer to a GET of its first byte.

    Raises:
        As `check_answer`.
    """
    if status == _RANGE_NOT_SATISFIABLE:
        match = _UNSATISFIED.fullmatch(headers.get("content-range", ""))
        if match and int(match["total"]) == 0:
            return 0
    extent = check_answer(status, headers, 0, 1, None, None)
    if extent.total is None:
        raise BadAnswer("the store does not say how large the object is")
    if extent.total > _SIZE_MAX:
        raise BadAnswer("the store says that the object is larger than any file can be")
    return extent.total


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status in (_OK, _PARTIAL):
        return
    if status in _URL_REFUSED:
        raise UrlRefused(status)
    if status in (_PRECONDITION_FAILED, _RANGE_NOT_SATISFIABLE):
        raise ContentChanged(f"the object changed (HTTP {status})")
    if is_busy(status):
        raise StoreUnavailable(f"the store answered HTTP {status}", retry_after(headers))
    raise BadAnswer(f"the store answered HTTP {status}")


def _extent(status: int, headers: Mapping[str, str], size: int | None) -> Extent:
    etag = headers.get("etag")
    if etag is not None and not (etag.isascii() and etag.isprintable()):
        etag = None
    length_text = headers.get("content-length")
    if length_text is not None and not _LENGTH.fullmatch(length_text):
        raise BadAnswer("the store sent a Content-Length that is no number")
    length = None if length_text is None else int(length_text)
    if status == _OK and "content-range" not in headers:
        stop = size if length is None else length
        if stop is None:
            raise BadAnswer("the store does not say how large the object is")
        return Extent(0, stop, length, etag, is_announced=length is not None)
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        raise BadAnswer("the store sent a part without a Content-Range that can be read")
    first, stop = int(match["first"]), int(match["last"]) + 1
    total = None if match["total"] == "*" else int(match["total"])
    if stop <= first or (total is not None and stop > total) or length not in (None, stop - first):
        raise BadAnswer("the store sent a Content-Range that contradicts itself")
    return Extent(first, stop, total, etag)
