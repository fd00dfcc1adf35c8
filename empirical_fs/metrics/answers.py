"""The answers to scrapes over HTTP. No I/O."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import h11
import httpx
from prometheus_client import exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from empirical_fs.net.urls import is_loopback

PATH = "/metrics"
_METHODS = "GET, HEAD"
_TEXT = "text/plain; charset=utf-8"

_in_openmetrics: Callable[[Collector], bytes] = openmetrics.generate_latest
_in_text: Callable[[Collector], bytes] = exposition.generate_latest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Answers:
    """Answers requests for the metrics of a registry. For one thread."""

    def __init__(self, registry: Collector, *, is_for_this_machine: bool) -> None:
        """Answer with what `registry` has.

        Args:
            registry: the collectors.
            is_for_this_machine: whether only this machine can connect. Then the request must name this
                machine as its host: a web page could otherwise have a browser here ask under the page's own
                host name, and read the answer (DNS rebinding).
        """
        self._registry = registry
        self._is_for_this_machine = is_for_this_machine
        self._has_failed = False

    def to(self, request: h11.Request) -> Answer:
        """The answer to a request; its body, if it has one, is ignored."""
        headers = {name: value.decode("latin-1") for name, value in request.headers}
        if self._is_for_this_machine and not _is_named_locally(headers.get(b"host", "")):
            return _refusal(403, "ask for it as localhost, or by the address at which it listens")
        if _path_of(request.target.decode("latin-1")) != PATH:
            return _refusal(404, f"the metrics are at {PATH}")
        if request.method not in (b"GET", b"HEAD"):
            return _refusal(405, f"{PATH} takes {_METHODS}", ("Allow", _METHODS))
        return self._metrics(headers.get(b"accept", ""))

    def _metrics(self, accept: str) -> Answer:
        """OpenMetrics, unless only the older text format is accepted."""
        kinds = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
        try:
            if "text/plain" in kinds and "application/openmetrics-text" not in kinds:
                return Answer(200, exposition.CONTENT_TYPE_LATEST, _in_text(self._registry))
            body = _in_openmetrics(self._registry)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                log.exception("the metrics cannot be shown")
            return _refusal(500, "the metrics cannot be shown now; the log says why")
        return Answer(200, openmetrics.CONTENT_TYPE_LATEST, body)


def to_no_request(error: h11.RemoteProtocolError) -> Answer:
    """The answer to what is no request, or too long to be one."""
    return _refusal(error.error_status_hint, "this is no request for metrics")


def encoded(answer: Answer, connection: h11.Connection, *, is_to_head: bool) -> bytes:
    """An answer as it is sent, without its body if it `is_to_head`; the connection is then to be closed."""
    head = h11.Response(
        status_code=answer.status,
        headers=[
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *answer.headers,
        ],
    )
    events = [head, h11.EndOfMessage()] if is_to_head else [head, h11.Data(answer.body), h11.EndOfMessage()]
    return b"".join(connection.send(event) or b"" for event in events)


def _refusal(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, _TEXT, f"{text}\n".encode(), headers)


def _path_of(target: str) -> str:
    """The path of a request target, which may be a whole URL (RFC 9112, 3.2.2)."""
    try:
        return httpx.URL(target).path
    except httpx.InvalidURL:
        return ""


def _is_named_locally(host: str) -> bool:
    """Whether the header `Host` names this machine. HTTP/1.0, which no browser speaks, may have none."""
    try:
        return not host or is_loopback(httpx.URL(f"http://{host}"))
    except (httpx.InvalidURL, ValueError):
        return False
