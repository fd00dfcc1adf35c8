"""The client of the Empirical REST API: fetches pages of the listing, and single resources by id."""

import logging
import threading
from collections.abc import Mapping

import httpx

from empirical_fs.api.decoding import (
    ListAnswer,
    OneAnswer,
    Shape,
    Signed,
    page_of,
    shaped,
    signed_of,
    value_of,
)
from empirical_fs.api.key_status import KeyStanding
from empirical_fs.api.pages import IN_FLIGHT, PER_PAGE, Page
from empirical_fs.api.resource import Resource
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    ApiUnavailable,
    DeadlinePassed,
    Foreign,
    KeyRefused,
    NotTheApi,
    OutOfReach,
    ResourceGone,
)
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.client import Common, Http
from empirical_fs.net.http11 import Answer
from empirical_fs.net.intermediaries import NEVER_OF_THE_SERVER, is_from_intermediary, trouble_of
from empirical_fs.net.retry import Tries, is_busy, retry_after
from empirical_fs.net.tracing import traced
from empirical_fs.server import Server
from empirical_fs.timestamps import http_date

_ANSWER_MAX = PER_PAGE * 40 * 2**10
"""Bytes of an answer at most: 40 KiB for each resource, most of it for a long description."""
_REFUSAL_MAX = 64 * 2**10
"""Bytes of an error answer that are read at most."""
_PIECE = 64 * 2**10
_ANSWERED = (200, 203)
"""203 comes from a proxy that changed the answer (RFC 9110, 15.3.4); it is checked like any other."""
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_LISTING = "/api/resources"
_REDIRECTS = range(300, 400)

log = logging.getLogger(__name__)


class _NotFound(Foreign):
    """HTTP 404: the server does not know the path, or there is no such resource."""


class Api:
    """A client for one project.

    Sends the key to the API's own origin only: it treats redirects as errors, and fetches nothing else with
    the key. Threads may share it. The lock lets one thread decode an answer at a time: several at once would
    not be faster, and the threads that answer the kernel would have to wait for all of them.
    """

    def __init__(self, base_url: httpx.URL, key: str, common: Common) -> None:
        """Send requests to `base_url` with `key`."""
        self._http = Http(IN_FLIGHT, ApiUnavailable, common, permit=permits_all)
        self._base = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        self._closing = common.closing
        self._key = KeyStanding()
        self._is_presumed_lost = False
        self._decoding = threading.Lock()
        self.lost = self._http.lost

    @property
    def is_here(self) -> bool:
        """Whether the API is on this machine, by the address of the last connection."""
        return self._http.is_here

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def presume_lost(self) -> None:
        """Take it that the API has answered an earlier mount with this key, and is out of reach now.

        Until it answers a probe, every request fails at once; until it gives a page of the listing, those by
        id do: something that answers in its place, or only with errors, would hold up each reader.
        """
        self._key.presume()
        self._is_presumed_lost = True
        probe = self._url(_LISTING, {"page": 1, "per_page": 1})
        self._http.presume_lost(probe, self._headers)

    @property
    def is_presumed_lost(self) -> bool:
        """Whether it has given no page of the listing since it was presumed lost."""
        return self._is_presumed_lost

    def page(self, number: int, deadline: Deadline, known: Mapping[int, Resource]) -> Page:
        """Fetch page `number` (from 1) of the listing.

        Resources that have not changed are taken from `known` (by id), which saves time and memory.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401, or 403 with the API's JSON.
            NotTheApi: the answer is not that page of a listing, or has more entries than were asked for.
        """
        params = {"page": number, "per_page": PER_PAGE}
        answer, server_time = self._get(_LISTING, params, ListAnswer, deadline)
        with self._decoding:
            page = page_of(answer, number, known, server_time)
        self._is_presumed_lost = False
        return page

    def resource(self, resource_id: int, deadline: Deadline) -> Signed:
        """Fetch one resource with a freshly signed URL.

        Raises:
            ApiUnavailable, DeadlinePassed: no answer before the deadline.
            KeyRefused: 401, or 403 with the API's JSON.
            ResourceGone: 404, or the resource is no longer uploaded.
            NotTheApi: the answer is not that resource.
            OutOfReach: the API is presumed lost.
        """
        if self._is_presumed_lost:
            raise OutOfReach(self._base.host)
        try:
            answer, server_time = self._get(f"/api/resources/{resource_id}", {}, OneAnswer, deadline)
        except _NotFound as error:
            raise ResourceGone(resource_id) from error
        return signed_of(answer, resource_id, server_time)

    def _get(
        self, path: str, params: dict[str, int], shape: type[Shape], deadline: Deadline
    ) -> tuple[Shape, float | None]:
        tries = Tries(deadline, self._closing, self._gave_up)
        while True:
            try:
                return self._get_once(path, params, shape, deadline)
            except (ApiUnavailable, DeadlinePassed) as error:
                tries.wait(error)

    def _gave_up(self, server: Server, since: float) -> None:
        # Before the API's first answer nothing is mounted, and the command line reports the failure.
        if self._key.was_accepted:
            self._http.gave_up(server, since)

    def _get_once(
        self, path: str, params: dict[str, int], shape: type[Shape], deadline: Deadline
    ) -> tuple[Shape, float | None]:
        url = self._url(path, params)
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
            with self._decoding:
                value = value_of(body, url.host)
        except KeyRefused as error:
            self._key.refused(url.path, error.status)
            raise
        except Foreign as error:
            # Some APIs do not serve single resources by id, but all serve the listing.
            if path != _LISTING or not self._key.was_accepted:
                raise
            raise ApiUnavailable(error.what, advice="something in between answers in its place") from error
        self._key.accepted()
        return shaped(value, shape, url.host), http_date(response.headers.get("date", ""))

    def _url(self, path: str, params: dict[str, int]) -> httpx.URL:
        return self._base.copy_with(path=self._base.path.rstrip("/") + path, params=params or None)

    @staticmethod
    def _check_status(response: Answer, body: bytes) -> None:
        status, host = response.status_code, response.server.host
        if status in _ANSWERED:
            return
        is_json = not is_from_intermediary(response.headers) and body.lstrip().startswith(b"{")
        # 401 always concerns the key (RFC 9110, 15.5.2); firewalls answer 403, too.
        if status == _UNAUTHORIZED or (status == _FORBIDDEN and is_json):
            raise KeyRefused(status)
        if is_busy(status) or status == _FORBIDDEN or status in NEVER_OF_THE_SERVER:
            raise ApiUnavailable(trouble_of(host, status), retry_after(response.headers))
        if status == _NOT_FOUND:
            raise _NotFound(f"{host} serves no such path (HTTP 404)")
        if status in _REDIRECTS:
            raise Foreign(f"{host} redirects elsewhere (HTTP {status}), and the key is not sent there")
        raise Foreign(f"{host} answered HTTP {status}")

    def _read(self, response: Answer, deadline: Deadline) -> bytes:
        """The body; of an error answer only the beginning."""
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
            raise NotTheApi(f"the answer of {response.server.host} is larger than any of the Empirical API's")
        return bytes(body)
