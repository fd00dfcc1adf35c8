"""The Empirical REST client: pages of the listing, and one resource by its id."""

import json
import logging
import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec

from empirical_fs.api.key_status import KeyStanding
from empirical_fs.api.pages import IN_FLIGHT, PER_PAGE, Page
from empirical_fs.api.resource import Malformed, Resource, parse_resource, readable_id, signed_url
from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, DeadlinePassed, Foreign, KeyRefused, NotTheApi, ResourceGone
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.client import Http
from empirical_fs.net.in_between import NEVER_OF_THE_SERVER, is_of_another, told
from empirical_fs.net.retry import Tries, is_busy, retry_after
from empirical_fs.net.tracing import traced
from empirical_fs.server import Server
from empirical_fs.timestamps import http_date
from empirical_fs.whole_numbers import whole_number

_ANSWER_MAX = PER_PAGE * 40 * 2**10
"""Bytes of an answer: 40 KiB for each resource, of which a description may take the most."""
_REFUSAL_MAX = 64 * 2**10
"""Bytes of an answer that says no."""
_VALUES_MAX = PER_PAGE * 200
"""Values of an answer, of which an entry has about a dozen."""
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_PIECE = 64 * 2**10
_DIGITS_MAX = 20
"""Of a number that any field may need; Python refuses to parse some thousands."""
_COUNT_MAX = 2**63
_ANSWERED = (200, 203)
"""The latter from a proxy that has changed something, which is checked like all else (RFC 9110, 15.3.4)."""
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_LISTING = "/api/resources"
_REDIRECTS = range(300, 400)

log = logging.getLogger(__name__)

_Shape = TypeVar("_Shape", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Signed:
    """One resource, with a freshly signed URL."""

    resource: Resource
    url: str | None
    """Unchecked; None where there is none."""
    server_time: float | None
    """As that of a page."""


class _Pagination(msgspec.Struct):
    page: Any = msgspec.UNSET
    total: Any = msgspec.UNSET
    total_pages: Any = msgspec.UNSET
    per_page: Any = None


class _Data(msgspec.Struct):
    resources: list[Any] | None
    """None where a server that is written in Go has an empty list."""


class _ListAnswer(msgspec.Struct):
    data: _Data
    pagination: _Pagination


class _OneData(msgspec.Struct):
    resource: Any


class _OneAnswer(msgspec.Struct):
    data: _OneData


class _NotFound(Foreign):
    """404: the path is not served, or there is no such resource."""


class Api:
    """A client for one project.

    The key goes to the API's own origin alone: redirects are errors here, and nothing else is fetched
    with it. Threads may share it.
    """

    def __init__(self, base_url: httpx.URL, key: str, closing: threading.Event, patience: float) -> None:
        """Speak to `base_url` with `key`; `closing` and `patience` (seconds) as `Http` takes them."""
        self._http = Http(IN_FLIGHT, ApiUnavailable, closing, patience, permit=permits_all)
        self._base = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._closing = closing
        self._key = KeyStanding()
        self.lost = self._http.lost

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, by the address of its last connection."""
        return self._http.is_here

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def page(self, number: int, deadline: Deadline, known: Mapping[int, Resource]) -> Page:
        """Page `number` (from 1) of the listing.

        What the page says no news of is as it is `known`, by the ids, so that it takes no time nor memory.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401, or 403 with the API's JSON.
            NotTheApi: the answer is not that page of a listing, or more than was asked for.
        """
        params = {"page": number, "per_page": PER_PAGE}
        answer, server_time = self._get(_LISTING, params, _ListAnswer, deadline)
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

    def resource(self, resource_id: int, deadline: Deadline) -> Signed:
        """One resource with a freshly signed URL.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401, or 403 with the API's JSON.
            ResourceGone: 404, or a resource that is no longer uploaded.
            NotTheApi: the answer is not that resource.
        """
        try:
            answer, server_time = self._get(f"/api/resources/{resource_id}", {}, _OneAnswer, deadline)
            entry = answer.data.resource
            resource = parse_resource(entry)
        except _NotFound as error:
            raise ResourceGone(resource_id) from error
        except Malformed as error:
            if error.makeshift is None:
                raise NotTheApi(str(error)) from error
            resource = error.makeshift
        if resource is None:
            raise ResourceGone(resource_id)
        if resource.id != resource_id:
            raise NotTheApi(f"asked for resource {resource_id}, the API answered {resource.id}")
        return Signed(resource, signed_url(entry, resource), server_time)

    def _get(
        self, path: str, params: dict[str, int], shape: type[_Shape], deadline: Deadline
    ) -> tuple[_Shape, float | None]:
        tries = Tries(deadline, self._closing, self._gave_up)
        while True:
            try:
                return self._get_once(path, params, shape, deadline)
            except (ApiUnavailable, DeadlinePassed) as error:
                tries.wait(error)

    def _gave_up(self, server: Server, since: float) -> None:
        # Before its first answer there is no mount, and the command line says why.
        if self._key.was_accepted:
            self._http.gave_up(server, since)

    def _get_once(
        self, path: str, params: dict[str, int], shape: type[_Shape], deadline: Deadline
    ) -> tuple[_Shape, float | None]:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path, params=params or None)
        if (refused := self._key.refusal(url.path)) is not None:
            raise KeyRefused(refused)
        with traced(log, f"GET {url.raw_path.decode('ascii')}") as ended:
            response = self._http.get(url, self._headers, deadline)
            ended(f"HTTP {response.status_code}")
        try:
            body = self._read(response, deadline)
        finally:
            response.close()
        try:
            self._check_status(response, body)
            value = _value(body, url.host)
        except KeyRefused as error:
            self._key.refused(url.path, error.status)
            raise
        except Foreign as error:
            # Not every API serves a resource by its id, but each serves the listing.
            if path != _LISTING or not self._key.was_accepted:
                raise
            raise ApiUnavailable(error.what, advice="something in between answers in its place") from error
        self._key.accepted()
        try:
            answer = msgspec.convert(value, shape)
        except (ValueError, msgspec.ValidationError) as error:
            raise NotTheApi(f"the answer of {url.host} is not what the Empirical API answers") from error
        return answer, http_date(response.headers.get("date", ""))

    @staticmethod
    def _check_status(response: httpx.Response, body: bytes) -> None:
        status, host = response.status_code, response.url.host
        if status in _ANSWERED:
            return
        is_json = not is_of_another(response.headers) and body.lstrip().startswith(b"{")
        # 401 speaks of the key by itself (RFC 9110, 15.5.2); 403 is what firewalls say, too.
        if status == _UNAUTHORIZED or (status == _FORBIDDEN and is_json):
            raise KeyRefused(status)
        if is_busy(status) or status == _FORBIDDEN or status in NEVER_OF_THE_SERVER:
            raise ApiUnavailable(told(host, status), retry_after(response.headers))
        if status == _NOT_FOUND:
            raise _NotFound(f"{host} serves no such path (HTTP 404)")
        if status in _REDIRECTS:
            raise Foreign(f"{host} redirects elsewhere (HTTP {status}), and the key is not sent there")
        raise Foreign(f"{host} answered HTTP {status}")

    def _read(self, response: httpx.Response, deadline: Deadline) -> bytes:
        """The body; of one that is not asked for, its beginning."""
        most = _ANSWER_MAX if response.status_code in _ANSWERED else _REFUSAL_MAX
        body, piece = bytearray(), memoryview(bytearray(_PIECE))
        incoming = self._http.body(response)
        try:
            while (count := incoming.read_into(piece)) and len(body) <= most:
                body += piece[:count]
                deadline.remaining()
        except ApiUnavailable:
            if response.status_code in _ANSWERED:
                raise
        if len(body) > _ANSWER_MAX:
            raise NotTheApi(f"the answer of {response.url.host} is larger than any of the Empirical API's")
        return bytes(body)


def _value(body: bytes, host: str) -> Any:
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
