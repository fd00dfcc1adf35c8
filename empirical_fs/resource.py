"""A resource of the project, made from what the API answered once that has been checked."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from empirical_fs.errors import EmpiricalError
from empirical_fs.timestamps import nanoseconds_since_epoch
from empirical_fs.urls import looks_signed

UPLOADED = "uploaded"
_DETAILS = (
    "project_id",
    "description",
    "mime_type",
    "created_by",
    "created_at",
    "updated_at",
    "access_level",
)
_INTEGER_MAX = 2**63 - 1
_URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))


class Malformed(EmpiricalError):
    """An entry of a listing that is not a resource; `resource_id` is its id if it has one."""

    def __init__(self, resource_id: int | None, reason: str) -> None:
        """Keep the id and the reason."""
        name = "a resource without an id" if resource_id is None else f"resource {resource_id}"
        super().__init__(f"{name} is malformed and left out: {reason}")
        self.resource_id = resource_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One uploaded resource, or a link to an external page."""

    id: int
    name: str
    url: str | None
    """The signed URL as answered, unchecked; None where the answer had none."""
    size: int | None
    """Bytes of the content; None where the API does not know."""
    updated_ns: int
    """`updated_at`, else `created_at`, else 0; nanoseconds since the epoch."""
    link: str | None
    """The external page of a link resource, which has no content of its own; None for an upload."""
    details: tuple[tuple[str, str], ...] = ()
    """What else the API says of it, by the names of its fields, unchecked."""

    @property
    def is_sized(self) -> bool:
        """Whether the size is known; a link has no content of its own."""
        return self.size is not None or self.link is not None


class _Answered(msgspec.Struct):
    """The fields without which an entry is no resource; the rest is optional, whatever its type."""

    id: int
    name: str
    status: str
    size_bytes: int | None = None


def parse_resource(entry: Any) -> Resource | None:
    """The resource that one entry of an answer describes; None if it is not uploaded.

    Raises:
        Malformed: the entry is no resource.
    """
    resource_id = entry.get("id") if isinstance(entry, dict) else None
    if type(resource_id) is not int or not 0 <= resource_id < _INTEGER_MAX:
        raise Malformed(None, "its id is not a number")
    try:
        answered = msgspec.convert(entry, _Answered)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise Malformed(resource_id, str(error)) from error
    if answered.status != UPLOADED:
        return None
    size = answered.size_bytes
    if size is not None and not 0 <= size <= _INTEGER_MAX:
        raise Malformed(resource_id, "its size_bytes is out of range")
    url = entry.get("url")
    if not isinstance(url, str):
        url = None
    link = None
    if size is None and url is not None and not looks_signed(url):
        link, url = _external_page(resource_id, url), None
    return Resource(
        id=resource_id,
        name=answered.name,
        url=url,
        size=size,
        updated_ns=_first_moment(entry.get("updated_at"), entry.get("created_at")),
        link=link,
        details=tuple(_details(entry)),
    )


def _details(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in _DETAILS:
        value = entry.get(field)
        if isinstance(value, str) or type(value) is int:
            # Most resources share most of what is said of them.
            yield field, sys.intern(str(value))


def _first_moment(*timestamps: object) -> int:
    moments = map(nanoseconds_since_epoch, timestamps)
    return next((moment for moment in moments if moment is not None), 0)


def _external_page(resource_id: int, url: str) -> str:
    """`url` if a browser may be sent there, with all that could start a second line escaped."""
    try:
        scheme = httpx.URL(url).scheme
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise Malformed(resource_id, "its url cannot be parsed") from error
    if scheme not in ("http", "https"):
        raise Malformed(resource_id, "its url is neither a signed URL nor a web page")
    return quote(url, safe=_URL_CHARACTERS, errors="replace")
