"""What an answer of the API says: a page of the listing, or one resource. Checks without I/O."""

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
"""Values of an answer, of which an entry has about a dozen."""
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_DIGITS_MAX = 20
"""Of a number that any field may need; Python refuses to parse some thousands."""
_COUNT_MAX = 2**63


@dataclass(frozen=True, slots=True)
class Signed:
    """One resource, with a freshly signed URL."""

    resource: Resource
    url: str | None
    """Unchecked; None where there is none."""
    server_time: float | None
    """As that of a page."""


Shape = TypeVar("Shape", bound=msgspec.Struct)


class _Pagination(msgspec.Struct):
    page: Any = msgspec.UNSET
    total: Any = msgspec.UNSET
    total_pages: Any = msgspec.UNSET
    per_page: Any = None


class _Data(msgspec.Struct):
    resources: list[Any] | None
    """None where a server that is written in Go has an empty list."""


class ListAnswer(msgspec.Struct):
    """A page of the listing."""

    data: _Data
    pagination: _Pagination


class _OneData(msgspec.Struct):
    resource: Any


class OneAnswer(msgspec.Struct):
    """One resource, as an answer has it."""

    data: _OneData


def page_of(
    answer: ListAnswer, number: int, known: Mapping[int, Resource], server_time: float | None
) -> Page:
    """The page of that number, from 1, with what is `known` for what it says no news of.

    Raises:
        NotTheApi: it is not that page of a listing, or more than was asked for.
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
            # The frames of a traceback would keep all of the entry in memory.
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
    """The resource of that id.

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
    """The value of an answer, as one of the shapes that there are.

    Raises:
        NotTheApi: it has another one.
    """
    try:
        return msgspec.convert(value, shape)
    except (ValueError, msgspec.ValidationError) as error:
        raise NotTheApi(f"the answer of {host} is not what the Empirical API answers") from error


def value_of(body: bytes, host: str) -> Any:
    """The value of an answer.

    Raises:
        Foreign: it is no JSON at all; NotTheApi: it is more than was asked for.
    """
    try:
        # json and not msgspec's decoder: a name may hold an unpaired surrogate, which is to be
        # shown as `_`, not to cost the page.
        return _parsed(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        kind = "a web page" if body.lstrip()[:1] == b"<" else "something that is not JSON"
        raise Foreign(f"{host} answers with {kind}") from error
    except (ValueError, RecursionError) as error:
        raise NotTheApi(f"the answer of {host} is not what the Empirical API answers") from error


def _parsed(body: bytes) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ValueError: it is none, or one of more values than were asked for, which would take memory.
        RecursionError: it is nested too deeply.
    """
    if _values(body) > _VALUES_MAX and _values(_TEXT.sub(b'""', body)) > _VALUES_MAX:
        raise ValueError("too many values")
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python does not parse a number of some thousand digits, which must not cost the whole page.
        return json.loads(body, parse_int=_integer)


def _values(body: bytes) -> int:
    """How many values a JSON text has at most: each begins the text, or follows one of these characters."""
    return 1 + sum(map(body.count, (b"[", b"{", b",", b":")))


def _integer(text: str) -> int | float:
    """An integer of a JSON text; one that is too long for any field is no number that any field may have."""
    return int(text) if len(text) <= _DIGITS_MAX else math.inf


def _count(value: object) -> int | None:
    """A number of the pagination; None where it has none.

    Raises:
        NotTheApi: it has something else in its place.
    """
    if value is msgspec.UNSET:
        return None
    number = whole_number(value)
    if number is None or not 0 <= number < _COUNT_MAX:
        raise NotTheApi("the API's pagination has something else in place of a number")
    return number


def _is_numbered(value: object, number: int) -> bool:
    """Whether the pagination says that the page is the one of that number, that was asked for.

    Some APIs leave it out, and some call each page the first one.

    Raises:
        NotTheApi: it says that it is another one.
    """
    told = None if value is msgspec.UNSET else whole_number(value)
    if told == number:
        return True
    if value is msgspec.UNSET or told == 1:
        return False
    raise NotTheApi("the API's pagination contradicts itself")


def _per_page(value: object) -> int:
    """How many entries a full page has: what the pagination says, and no more than were asked for."""
    told = whole_number(value)
    return min(told, PER_PAGE) if told is not None and told > 0 else PER_PAGE
