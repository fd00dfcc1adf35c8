"""A resource of the project, made from an entry of the API's answer after checking it."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from msgspec.structs import replace

from empirical_fs.errors import EmpiricalError
from empirical_fs.net.urls import looks_signed
from empirical_fs.timestamps import nanoseconds_since_epoch
from empirical_fs.whole_numbers import whole_number

UPLOADED = "uploaded"
_ON_ITS_WAY = ("pending", "pending_upload", "awaiting_upload", "not_uploaded", "uploading", "processing")
_BEGUN = (
    "preparing",
    "queued",
    "waiting",
    "scheduled",
    "new",
    "created",
    "draft",
    "initiated",
    "initialized",
)
_UNFINISHED = (
    "started",
    "in_progress",
    "incomplete",
    "failed",
    "failure",
    "upload_failed",
    "error",
    "errored",
)
_GIVEN_UP = ("rejected", "invalid", "aborted", "cancelled", "canceled", "expired")
_GONE = ("deleted", "deleting", "removed", "removing", "purged", "trashed", "archived", "missing")
_NOT_THERE = frozenset((*_ON_ITS_WAY, *_BEGUN, *_UNFINISHED, *_GIVEN_UP, *_GONE))
"""Status words of resources that have no content to read; any other word but "uploaded" is malformed."""
_DETAILS = (
    "project_id",
    "description",
    "mime_type",
    "created_by",
    "access_level",
    "created_at",
    "updated_at",
)
MADE_FROM = ("id", "name", "status", "size_bytes", *_DETAILS)
"""The fields that a resource is made from; if it has no size, its URL is used, too."""
_SHARED = frozenset({"status", "project_id", "mime_type", "created_by", "access_level"})
"""Fields whose values most resources of a project share."""
_NAME = MADE_FROM.index("name")
_CREATED_AT, _UPDATED_AT = MADE_FROM.index("created_at"), MADE_FROM.index("updated_at")
_SHARED_PLACES = tuple(place for place, field in enumerate(MADE_FROM) if field in _SHARED)
_PLAIN = frozenset({str, int, float, bool, type(None)})
_PLACES = tuple((place, field) for place, field in enumerate(MADE_FROM) if field in _DETAILS)
_INTEGER_MAX = 2**63 - 1
_NO_DATES = (0, -62_135_596_800 * 10**9)
"""Dates that mean "no date": the epoch, and the year 1, which is the zero time in Go."""
_URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One uploaded resource, or a link to an external page.

    Its signed URL is not part of it, since each listing brings another one. It is not tracked by the garbage
    collector (gc=False), which would take long in a large project; it holds nothing that could form a cycle.
    """

    id: int
    name: str
    size: int | None
    """Size of the content in bytes; None if the API does not say."""
    updated_ns: int
    """`updated_at`, else `created_at`, else 0; nanoseconds since the epoch."""
    is_dated: bool = True
    """Whether it has an `updated_at`."""
    link: str | None
    """The external page of a link resource, which has no content of its own; None for an upload."""
    said: tuple[object, ...] = (None,) * len(MADE_FROM)
    """The values of the fields `MADE_FROM`, unchecked, as the API sent them."""

    @property
    def details(self) -> Mapping[str, str]:
        """Further fields (`_DETAILS`) by name, as text."""
        texts = {field: _detail(self.said[place]) for place, field in _PLACES}
        return {field: text for field, text in texts.items() if text is not None}

    @property
    def project_id(self) -> str | None:
        """The project that it belongs to; None if the API does not say."""
        return self.details.get("project_id")

    @property
    def is_html(self) -> bool:
        """Whether it is a web page, by its type or its name."""
        mime_type = self.details.get("mime_type", "")
        return "html" in mime_type or self.name.lower().endswith((".html", ".htm", ".xhtml"))

    @property
    def is_sized(self) -> bool:
        """Whether the size is known; a link has no content of its own."""
        return self.size is not None or self.link is not None


class Malformed(EmpiricalError):
    """An entry of a listing that cannot be read; holds the fields that could be read.

    Every reason is one of a few fixed sentences, so that entries can be counted by reason, and nothing that
    the API sent gets into a log.
    """

    def __init__(
        self,
        resource_id: int | None,
        reason: str,
        *,
        name: str | None = None,
        url: str | None = None,
        makeshift: Resource | None = None,
    ) -> None:
        """Keep the reason and the readable fields.

        Args:
            resource_id: its id; None if that cannot be read.
            reason: what is wrong with it.
            name: its name; None if that cannot be read.
            url: its signed URL, unchecked; None if there is none.
            makeshift: the resource if only its date is wrong; shown if no better version is known.
        """
        self.who = "an entry without an id" if resource_id is None else f"resource {resource_id}"
        super().__init__(f"{self.who} cannot be read: {reason}")
        self.resource_id = resource_id
        self.reason = reason
        self.name = name
        self.url = url
        self.makeshift = makeshift


def readable_id(entry: Any) -> int | None:
    """The id of an entry; None if it has none from which an inode number can be made."""
    number = whole_number(entry.get("id")) if isinstance(entry, dict) else None
    return number if number is not None and 0 <= number < _INTEGER_MAX else None


def signed_url(entry: Any, resource: Resource) -> str | None:
    """The signed URL, unchecked, of the entry that `resource` was made from; None if it has none."""
    return None if resource.link is not None else _text(entry.get("url"))


def parse_resource(entry: Any, known: Resource | None = None) -> Resource | None:
    """The resource that one entry of an answer describes; None if it is not uploaded.

    `known` is the resource from the previous listing; it is returned itself if nothing has changed.

    Raises:
        Malformed: the entry cannot be read.
    """
    if not isinstance(entry, dict):
        raise Malformed(None, "it is no JSON object")
    said = tuple(map(entry.get, MADE_FROM))
    # Without a size, the URL, which is not in `said`, decides whether it is an upload or a link.
    if known is not None and said == known.said and known.size is not None:
        return known
    status = _status(entry.get("status"))
    if status in _NOT_THERE:
        return None
    resource_id = readable_id(entry)
    name, url = _text(entry.get("name")), _text(entry.get("url"))
    is_page = entry.get("size_bytes") is None and url is not None and not looks_signed(url)
    malformed = partial(Malformed, resource_id, name=name, url=None if is_page else url)
    if resource_id is None:
        raise malformed("its id is not a number that can be used")
    if name is None:
        raise malformed("its name is not text")
    if status != UPLOADED:
        raise malformed("its status is not a word that is known")
    size = whole_number(entry.get("size_bytes"))
    if size is None and entry.get("size_bytes") is not None:
        raise malformed("its size_bytes is not a whole number")
    if size is not None and not 0 <= size <= _INTEGER_MAX:
        raise malformed("its size_bytes is out of range")
    link = None
    if is_page and url is not None:
        try:
            link, url = _external_page(url), None
        except ValueError as error:
            raise malformed("its url is neither a signed URL nor a web page") from error
    dated_by, moment = _dated(entry)
    resource = Resource(
        id=resource_id,
        name=name,
        size=size,
        updated_ns=_created_ns(entry) if moment is None else moment,
        is_dated=dated_by == "updated_at",
        link=link,
        said=_kept(said),
    )
    if moment is None:
        raise malformed(f"its {dated_by} is not a date", makeshift=resource)
    return known if resource == known else resource


def restored(resource: Resource) -> Resource:
    """The same resource, decoded from a file, as `parse_resource` makes it: equal texts share one object.

    Raises:
        ValueError: `parse_resource` makes no such resource.
    """
    said, size = list(resource.said), resource.size
    if not 0 <= resource.id < _INTEGER_MAX or not 0 <= (size or 0) <= _INTEGER_MAX:
        raise ValueError("an id or a size is out of range")
    if len(said) != len(MADE_FROM):
        raise ValueError("another number of fields")
    if not _PLAIN.issuperset(map(type, said)):
        raise ValueError("a field is neither text nor a number")
    for place in _SHARED_PLACES:
        if type(value := said[place]) is str:
            said[place] = sys.intern(value)
    if said[_CREATED_AT] == said[_UPDATED_AT]:
        said[_CREATED_AT] = said[_UPDATED_AT]
    if resource.link is not None and _external_page(resource.link) != resource.link:
        raise ValueError("a link that was not checked")
    name = resource.name if resource.name != said[_NAME] else said[_NAME]
    return replace(resource, name=name, said=tuple(said))


def _dated(entry: dict[str, Any]) -> tuple[str, int | None]:
    """The field that dates a resource, and its date in nanoseconds; None if it holds no valid date.

    Without any date the result is `created_at` and 0, the epoch.
    """
    for field in ("updated_at", "created_at"):
        value = entry.get(field)
        moment = nanoseconds_since_epoch(value)
        # A zero date is what programs write that have none.
        if value is not None and moment not in _NO_DATES:
            return field, moment
    return "created_at", 0


def _created_ns(entry: dict[str, Any]) -> int:
    moment = nanoseconds_since_epoch(entry.get("created_at"))
    return 0 if moment is None or moment in _NO_DATES else moment


def _status(value: object) -> str | None:
    """A status in lower case with `_` between its words; None if it is not text."""
    return "_".join(value.lower().replace("-", " ").split()) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _detail(value: object) -> str | None:
    number = value if isinstance(value, str) else whole_number(value)
    return None if number is None else str(number)


def _kept(said: Sequence[object]) -> tuple[object, ...]:
    """The fields to keep, texts and numbers only; equal texts of many resources share one object."""
    kept = [
        (sys.intern(value) if field in _SHARED else value)
        if type(value) is str
        else (value if isinstance(value, int | float) else None)
        for field, value in zip(MADE_FROM, said, strict=True)
    ]
    if kept[_CREATED_AT] == kept[_UPDATED_AT]:
        kept[_CREATED_AT] = kept[_UPDATED_AT]
    return tuple(kept)


def _external_page(url: str) -> str:
    """`url`, if a browser may be sent there, with all characters escaped that could start a second line.

    Raises:
        ValueError: a browser must not be sent there.
    """
    try:
        parsed = httpx.URL(url)
        # Ask urlsplit, too: httpx takes `http:javascript:x` and `http:/x` for URLs with a host.
        has_host = bool(parsed.host and urlsplit(url).hostname)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError("a URL that cannot be parsed") from error
    if parsed.scheme not in ("http", "https") or not has_host:
        raise ValueError("not a web URL")
    return quote(url, safe=_URL_CHARACTERS, errors="replace")
