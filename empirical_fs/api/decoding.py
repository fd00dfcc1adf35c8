"""Decodes and checks the API's answers: a page of the listing, or one resource. Without I/O."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from empirical_fs.api.pages import PER_PAGE, Page
from empirical_fs.api.resource import Malformed, Resource, parse_resource, readable_id, signed_url
from empirical_fs.errors import Foreign, NotTheApi, ResourceGone
from empirical_fs.whole_numbers import whole_number

_VALUES_MAX = PER_PAGE * 200
"""How many JSON values an answer may have; an entry has about a dozen."""
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_DIGITS_MAX = 20
"""Digits of the longest number that a field may need; Python refuses to parse some thousands."""
_COUNT_MAX = 2**63


@dataclass(frozen=True, slots=True)
class Signed:
    """One resource, with a freshly signed URL."""

    resource: Resource
    url: str | None
    """Unchecked; None if the answer has none."""
    server_time: float | None
    """The server's time of the answer in seconds since the epoch; None if it does not say."""


Shape = TypeVar("Shape", bound=msgspec.Struct)


class _Pagination(msgspec.Struct):
    page: Any = msgspec.UNSET
    total: Any = msgspec.UNSET
    total_pages: Any = msgspec.UNSET
    per_page: Any = None


class _Data(msgspec.Struct):
    resources: list[Any] | None
    """None counts as an empty list: servers written in Go send null for one."""


class ListAnswer(msgspec.Struct):
    """The shape of the answer with a page of the listing."""

    data: _Data
    pagination: _Pagination


class _OneData(msgspec.Struct):
    resource: Any


class OneAnswer(msgspec.Struct):
    """The shape of the answer with one resource."""

    data: _OneData


def page_of(
    answer: ListAnswer, number: int, known: Mapping[int, Resource], server_time: float | None
) -> Page:
    """Page `number` (from 1); resources that have not changed are taken from `known`, by id.

    Raises:
        NotTheApi: the answer is not that page of a listing, or has more entries than were asked for.
    """
    pagination = answer.pagination
    total, total_pages = _count(pagination.total), _count(pagination.total_pages)
    is_numbered = _is_numbered(pagination.page, number)
    if answer.data.resources is None and total:
        raise NotTheApi("the API counts resources and lists none")
    entries = answer.data.resources or []
    if len(entries) > PER_PAGE:
        raise NotTheApi(f"the API was asked for {PER_PAGE} resources and lists {len(entries)}")
    resources: list[Resource] = []
    malformed: list[Malformed] = []
    ids: list[int | None] = []
    urls: dict[int, str] = {}
    for entry in entries:
        identity = readable_id(entry)
        ids.append(identity)
        try:
            resource = parse_resource(entry, None if identity is None else known.get(identity))
        except Malformed as error:
            # The frames of its traceback would keep the whole entry in memory.
            malformed.append(error.with_traceback(None))
            if error.resource_id is not None and error.url is not None:
                urls[error.resource_id] = error.url
        else:
            if resource is not None:
                resources.append(resource)
                if (url := signed_url(entry, resource)) is not None:
                    urls[resource.id] = url
    return Page(
        resources=tuple(resources),
        ids=tuple(ids),
        malformed=tuple(malformed),
        urls=urls,
        total=total,
        total_pages=total_pages,
        server_time=server_time,
        per_page=_per_page(pagination.per_page),
        is_numbered=is_numbered,
    )


def signed_of(answer: OneAnswer, resource_id: int, server_time: float | None) -> Signed:
    """The resource `resource_id` from the answer.

    Raises:
        ResourceGone: it is no longer uploaded.
        NotTheApi: the answer is not that resource.
    """
    entry = answer.data.resource
    try:
        resource = parse_resource(entry)
    except Malformed as error:
        if error.makeshift is None:
            raise NotTheApi(str(error)) from error
        resource = error.makeshift
    if resource is None:
        raise ResourceGone(resource_id)
    if resource.id != resource_id:
        raise NotTheApi(f"asked for resource {resource_id}, the API answered {resource.id}")
    return Signed(resource, signed_url(entry, resource), server_time)


def shaped(value: Any, shape: type[Shape], host: str) -> Shape:
    """The JSON value of an answer, converted to `shape`.

    Raises:
        NotTheApi: it does not have that shape.
    """
    try:
        return msgspec.convert(value, shape)
    except (ValueError, msgspec.ValidationError) as error:
        raise NotTheApi(f"the answer of {host} is not what the Empirical API answers") from error


def value_of(body: bytes, host: str) -> Any:
    """The JSON value of an answer.

    Raises:
        Foreign: the body is not JSON.
        NotTheApi: it is too large or too deeply nested.
    """
    try:
        # json, not msgspec's decoder, which would reject the whole page if a name holds an unpaired
        # surrogate; we show that character as `_`.
        return _parsed(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        kind = "a web page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        raise Foreign(f"{host} answers with {kind}") from error
    except (ValueError, RecursionError) as error:
        raise NotTheApi(f"the answer of {host} is not what the Empirical API answers") from error


def _parsed(body: bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: it is not JSON, or has too many values, which would take too much memory.
        RecursionError: it is nested too deeply.
    """
    if _values(body) > _VALUES_MAX and _values(_TEXT.sub(b'""', body)) > _VALUES_MAX:
        raise ValueError("too many values")
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses numbers of some thousand digits; one such number must not make the page fail.
        return json.loads(body, parse_int=_integer)


def _values(body: bytes) -> int:
    """An upper bound of a text's JSON values: each is at the start or follows one of these characters."""
    return 1 + sum(map(body.count, (b"[", b"{", b",", b":")))


def _integer(text: str) -> int | float:
    """Parse an integer; one that is too long for any field becomes infinity, which every field rejects."""
    return int(text) if len(text) <= _DIGITS_MAX else math.inf


def _count(value: object) -> int | None:
    """A number of the pagination; None if it is left out.

    Raises:
        NotTheApi: it is something other than a number.
    """
    if value is msgspec.UNSET:
        return None
    number = whole_number(value)
    if number is None or not 0 <= number < _COUNT_MAX:
        raise NotTheApi("the API's pagination has something else in place of a number")
    return number


def _is_numbered(value: object, number: int) -> bool:
    """Whether the pagination says that the page is the one that was asked for.

    Some APIs leave the number out, and some say 1 on each page: then the answer is False.

    Raises:
        NotTheApi: it gives another number.
    """
    told = None if value is msgspec.UNSET else whole_number(value)
    if told == number:
        return True
    if value is msgspec.UNSET or told == 1:
        return False
    raise NotTheApi("the API's pagination contradicts itself")


def _per_page(value: object) -> int:
    """How many entries a full page has: as the pagination says, but at most as many as were asked for."""
    told = whole_number(value)
    return min(told, PER_PAGE) if told is not None and told > 0 else PER_PAGE
