"""Reads and checks the head of a store's answer to a range GET. No I/O.

The facts about R2 and S3 are from `api.md`; those about ranges from RFC 9110, chapter 14.
"""

import re
from collections.abc import Mapping

from empirical_fs.errors import BadAnswer, OtherLength, StoreUnavailable, UrlRefused
from empirical_fs.net.intermediaries import NEVER_OF_THE_SERVER, is_from_intermediary, trouble_of
from empirical_fs.net.retry import is_busy, retry_after
from empirical_fs.reading.version import Extent, Head, Refused, Validators

_OK, _PARTIAL, _PRECONDITION_FAILED, _RANGE_NOT_SATISFIABLE = 200, 206, 412, 416
_NOT_FOUND = (404, 410)
_URL_REFUSED = (400, 401, 403, *_NOT_FOUND)

_CONTENT_RANGE = re.compile(
    r"bytes (?P<first>[0-9]{1,19})-(?P<last>[0-9]{1,19})/(?P<total>[0-9]{1,19}|\*)", re.I
)
_UNSATISFIED = re.compile(r"bytes \*/(?P<total>[0-9]{1,19})", re.I)
_LENGTH = re.compile(r"[0-9]{1,19}")
_SIZE_MAX = 2**63 - 1
_SEVERAL_PARTS = "multipart/byteranges"
_VERSION_IDS = ("x-amz-version-id", "x-goog-generation", "x-ms-version-id")
"""Headers with a version id: of S3 and compatible stores, of Google, of Azure."""
_NO_ETAG = ("", '""', "W/", 'W/""')
_NO_VERSION_ID = ("", "null")
"""S3 sends `null` for every object of a bucket without versions."""
_HTML = "text/html"
_COMPRESSIONS = frozenset({"gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd", "dcb", "dcz"})


def read_head(status: int, headers: Mapping[str, str], start: int, stop: int, size: int | None) -> Head:
    """What an answer says about an object, of which the bytes from `start` to `stop` were requested.

    A 206, and a 200 with a Content-Range, hold a part of the object; a 200 without one holds all of it.
    `size` is the size of the object in bytes, None if it is not known yet.

    Raises:
        UrlRefused: 400, 401, 403, 404 or 410.
        StoreUnavailable: 429, 5xx and the like.
        BadAnswer: anything else that does not answer that request.
    """
    validators = _validators(headers)
    if status == _PRECONDITION_FAILED:
        return Head(Refused.CONDITION, validators)
    if status == _RANGE_NOT_SATISFIABLE:
        match = _UNSATISFIED.fullmatch(_field(headers, "content-range"))
        return Head(Refused.PAST_THE_END, validators, int(match["total"]) if match else None)
    _check_status(status, headers)
    extent, total = _extent(status, headers, size)
    # An object that was stored compressed is sent as it is stored. A body that was compressed on the way has
    # another length, or no Content-Length.
    if _is_compressed(headers) and (total is None or total != (total if size is None else size)):
        raise BadAnswer("the store sent a compressed body, which was not asked for")
    if total is not None and total > _SIZE_MAX:
        raise BadAnswer("the store says that the object is larger than any file can be")
    is_whole = extent.start == 0 and extent.stop in (total, size)
    if not is_whole and (extent.start != start or extent.stop > stop):
        raise BadAnswer("the store sent other bytes than were asked for")
    is_html = _field(headers, "content-type").lower().startswith(_HTML)
    return Head(extent, validators, total, is_html)


def measured(head: Head, listed: int | None, *, is_html: bool = False) -> int:
    """The size in bytes of an object, from the answer to a GET of its first byte.

    `listed` is the size in the listing, None if it has none; `is_html` tells whether the object itself may be
    a web page.

    Raises:
        BadAnswer: the answer gives no credible size.
    """
    if head.brings is Refused.PAST_THE_END:
        if head.total == 0:
            return 0
        raise BadAnswer("the store refuses the first byte of the object, and does not say that it is empty")
    if head.brings is Refused.CONDITION or head.total is None:
        raise BadAnswer("the store does not say how large the object is")
    is_doubtful = listed is not None or (head.is_html and not is_html)
    if not head.brings.is_range and head.validators.is_none and head.total != listed and is_doubtful:
        raise OtherLength(head.total, listed)
    return head.total


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status in (_OK, _PARTIAL):
        return
    if status in _URL_REFUSED:
        raise UrlRefused(status, is_from_intermediary=is_from_intermediary(headers))
    if is_busy(status) or status in NEVER_OF_THE_SERVER:
        raise StoreUnavailable(trouble_of("the store", status), retry_after(headers))
    raise BadAnswer(f"the store answered HTTP {status}")


def _validators(headers: Mapping[str, str]) -> Validators:
    etag = _field(headers, "etag")
    version_ids = [_field(headers, name) for name in _VERSION_IDS if name in headers]
    return Validators(
        etag=None if etag in _NO_ETAG else etag,
        version_id=next((each for each in version_ids if each not in _NO_VERSION_ID), None),
        last_modified=_field(headers, "last-modified") or None,
    )


def _field(headers: Mapping[str, str], name: str, default: str = "") -> str:
    """A header's value without surrounding blanks, which do not belong to it (RFC 9110, 5.5)."""
    value = headers.get(name)
    return default if value is None else value.strip(" \t")


def _is_compressed(headers: Mapping[str, str]) -> bool:
    """Whether the body has a content coding that changes its length (RFC 9110, 8.4.1).

    Uploaders also write other things there, such as the name of a character set, which change no bytes.
    """
    text = _field(headers, "content-encoding")
    codings = {each.strip().lower() for each in text.split(",")} if text else ()
    return not _COMPRESSIONS.isdisjoint(codings)


def _length(headers: Mapping[str, str]) -> int | None:
    """The Content-Length; the same number may be repeated (RFC 9110, 8.6).

    Raises:
        BadAnswer: it is not a number, or has different numbers.
    """
    text = _field(headers, "content-length")
    if not text:
        return None
    if _LENGTH.fullmatch(text):
        return int(text)
    numbers = {each.strip(" \t") for each in text.split(",")}
    if len(numbers) > 1 or not all(map(_LENGTH.fullmatch, numbers)):
        raise BadAnswer("the store sent a Content-Length that is no number")
    return int(numbers.pop())


def _extent(status: int, headers: Mapping[str, str], size: int | None) -> tuple[Extent, int | None]:
    """The range of the object in the body, and the size of the object if the answer gives it."""
    length = _length(headers)
    if status == _OK and "content-range" not in headers:
        stop = size if length is None else length
        if stop is None:
            raise BadAnswer("the store does not say how large the object is")
        return Extent(0, stop, is_announced=length is not None, is_range=False), length
    if _field(headers, "content-type").lower().startswith(_SEVERAL_PARTS):
        raise BadAnswer("the store sent several parts in place of one")
    match = _CONTENT_RANGE.fullmatch(_field(headers, "content-range"))
    if match is None:
        raise BadAnswer("the store sent a part without a Content-Range that can be read")
    first, stop = int(match["first"]), int(match["last"]) + 1
    total = None if match["total"] == "*" else int(match["total"])
    if stop <= first or (total is not None and stop > total) or length not in (None, stop - first):
        raise BadAnswer("the store sent a Content-Range that contradicts itself")
    return Extent(first, stop, is_announced=length is not None), total
