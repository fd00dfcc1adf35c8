"""The Empirical REST client: pages of the listing, and one resource by its id."""

import json
import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec

from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, KeyRefused, NotTheApi, ResourceGone
from empirical_fs.http import Http
from empirical_fs.key_standing import KeyStanding
from empirical_fs.resource import Malformed, Resource, parse_resource, readable_id
from empirical_fs.retry import is_busy, retry_after, retrying
from empirical_fs.server import Server
from empirical_fs.timestamps import http_date
from empirical_fs.tracing import traced
from empirical_fs.whole_numbers import whole_number

PER_PAGE = 100
"""Resources a page; the most that the API allows (seeds/list-resources.txt)."""
IN_FLIGHT = 8
"""Requests to the API under way at once, at most."""

_ANSWER_MAX = 32 * 2**20
_PIECE = 64 * 2**10
_DIGITS_MAX = 20
"""Of a number that any field may need; Python refuses to parse some thousands."""
_COUNT_MAX = 2**63
_OK, _NOT_FOUND = 200, 404
_KEY_REFUSED = (401, 403)
_REDIRECTS = range(300, 400)

log = logging.getLogger(__name__)

_Shape = TypeVar("_Shape", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the listing."""

    resources: tuple[Resource, ...]
    ids: tuple[int | None, ...]
    """The id of every entry as listed, malformed and not uploaded ones too; None where it has none."""
    malformed: tuple[Malformed, ...]
    total: int
    total_pages: int
    server_time: float | None
    """The server's clock as it answered, in seconds since the epoch, if it said."""

    @property
    def urls(self) -> Iterator[tuple[int, str]]:
        """The ids with a signed URL, and that; those of malformed entries too."""
        for resource in self.resources:
            if resource.url is not None:
                yield resource.id, resource.url
        for error in self.malformed:
            if error.resource_id is not None and error.url is not None:
                yield error.resource_id, error.url


class _Pagination(msgspec.Struct):
    page: Any
    total: Any
    total_pages: Any


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


class _NotFound(NotTheApi):
    """404: the path is not served, or there is no such resource."""


class Api:
    """A client for one project.

    The key goes to the API's own origin alone: redirects are errors here, and nothing else is fetched
    with it. Threads may share it.
    """

    def __init__(self, base_url: httpx.URL, key: str, closing: threading.Event, patience: float) -> None:
        """Speak to `base_url` with `key`; `closing` and `patience` (seconds) as `Http` takes them."""
        self._http = Http(IN_FLIGHT, ApiUnavailable, closing, patience)
        self._base = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._closing = closing
        self._key = KeyStanding()
        self.lost = self._http.lost

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def page(self, number: int, deadline: Deadline) -> Page:
        """Page `number` (from 1) of the listing.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401 or 403.
            NotTheApi: the answer is not that page of a listing.
        """
        params = {"page": number, "per_page": PER_PAGE}
        answer, server_time = self._get("/api/resources", params, _ListAnswer, deadline)
        pagination = answer.pagination
        total, total_pages = _count(pagination.total), _count(pagination.total_pages)
        if whole_number(pagination.page) != number:
            raise NotTheApi("the API's pagination contradicts itself")
        if answer.data.resources is None and total:
            raise NotTheApi("the API counts resources and lists none")
        resources: list[Resource] = []
        malformed: list[Malformed] = []
        ids: list[int | None] = []
        for entry in answer.data.resources or ():
            ids.append(readable_id(entry))
            try:
                resource = parse_resource(entry)
            except Malformed as error:
                # The frames of a traceback would keep all of the entry in memory.
                malformed.append(error.with_traceback(None))
            else:
                if resource is not None:
                    resources.append(resource)
        return Page(
            resources=tuple(resources),
            ids=tuple(ids),
            malformed=tuple(malformed),
            total=total,
            total_pages=total_pages,
            server_time=server_time,
        )

    def resource(self, resource_id: int, deadline: Deadline) -> tuple[Resource, float | None]:
        """One resource with a freshly signed URL, and the server's clock as it answered.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401 or 403.
            ResourceGone: 404, or a resource that is no longer uploaded.
            NotTheApi: the answer is not that resource.
        """
        try:
            answer, server_time = self._get(f"/api/resources/{resource_id}", {}, _OneAnswer, deadline)
            resource = parse_resource(answer.data.resource)
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
        return resource, server_time

    def _get(
        self, path: str, params: dict[str, int], shape: type[_Shape], deadline: Deadline
    ) -> tuple[_Shape, float | None]:
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path, params=params or None)
        for attempt in retrying(ApiUnavailable, deadline, self._closing, self._gave_up):
            with attempt:
                return self._get_once(url, shape, deadline)
        raise AssertionError("retrying ends with an answer or an exception")

    def _gave_up(self, server: Server, since: float) -> None:
        # Before its first answer there is no mount, and the command line says why.
        if self._key.was_accepted:
            self._http.gave_up(server, since)

    def _get_once(
        self, url: httpx.URL, shape: type[_Shape], deadline: Deadline
    ) -> tuple[_Shape, float | None]:
        if (refused := self._key.refusal(url.path)) is not None:
            raise KeyRefused(refused)
        with traced(log, f"GET {url.raw_path.decode('ascii')}") as ended:
            response = self._http.get(url, self._headers, deadline)
            ended(f"HTTP {response.status_code}")
        try:
            self._check(response)
            body = self._read(response, deadline)
        finally:
            response.close()
        try:
            # json and not msgspec's decoder: a name may hold an unpaired surrogate, which is to be
            # shown as `_`, not to cost the page.
            answer = msgspec.convert(json.loads(body, parse_int=_integer), shape)
        except (ValueError, RecursionError, msgspec.ValidationError) as error:
            raise NotTheApi(f"the answer of {url.host} is not what the Empirical API answers") from error
        return answer, http_date(response.headers.get("date", ""))

    def _check(self, response: httpx.Response) -> None:
        try:
            _check_status(response)
        except KeyRefused as error:
            self._key.refused(response.url.path, error.status)
            raise
        self._key.accepted()

    def _read(self, response: httpx.Response, deadline: Deadline) -> bytes:
        body, piece = bytearray(), memoryview(bytearray(_PIECE))
        incoming = self._http.body(response)
        while count := incoming.read_into(piece):
            body += piece[:count]
            if len(body) > _ANSWER_MAX:
                raise NotTheApi(
                    f"the answer of {response.url.host} is larger than any of the Empirical API's"
                )
            deadline.remaining()
        return bytes(body)


def _integer(text: str) -> int | float:
    """An integer of a JSON text; one that is too long for any field is no number that any field may have."""
    return int(text) if len(text) <= _DIGITS_MAX else math.inf


def _count(value: object) -> int:
    """A number of the pagination.

    Raises:
        NotTheApi: it is none.
    """
    number = whole_number(value)
    if number is None or not 0 <= number < _COUNT_MAX:
        raise NotTheApi("the API's pagination has something else in place of a number")
    return number


def _check_status(response: httpx.Response) -> None:
    status, host = response.status_code, response.url.host
    if status == _OK:
        return
    if status in _KEY_REFUSED:
        raise KeyRefused(status)
    if status == _NOT_FOUND:
        raise _NotFound(f"{host} serves no such path (HTTP 404)")
    if is_busy(status):
        raise ApiUnavailable(f"{host} answered HTTP {status}", retry_after(response.headers))
    if status in _REDIRECTS:
        raise NotTheApi(f"{host} redirects elsewhere (HTTP {status}), and the key is not sent there")
    raise NotTheApi(f"{host} answered HTTP {status}")
