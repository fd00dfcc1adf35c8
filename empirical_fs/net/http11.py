"""An httpx transport that reads a body directly into the caller's memory.

httpx's own transport passes every body through h11, which copies it several times: 0.9 s of CPU per GB,
against 0.2 s this way. The standard library's http.client speaks the protocol; only the pool is ours.
"""

import ssl
import threading
import time
from http.client import HTTPConnection
from typing import cast

import httpx

from empirical_fs.cancellation import Cancellation
from empirical_fs.net.addresses import Permit
from empirical_fs.net.answer import Answer
from empirical_fs.net.dialing import Dialer, attach
from empirical_fs.net.idle_connections import IdleConnections
from empirical_fs.net.lru_table import LruTable
from empirical_fs.net.proxies import Route
from empirical_fs.net.streams import Stream, translated
from empirical_fs.net.tunnels import authorization, target_for_proxy
from empirical_fs.server import Server
from empirical_fs.work.waits import Readable, Steps, drive, has_arrived

BODY = "empirical_fs.body"
"""The extension of a response that holds its `Stream`, which reads the body into given memory."""
BODY_TIMEOUT = "empirical_fs.body_timeout"
"""The extension of a request: how many seconds the body may pause; default: the read timeout."""
CANCELLATION = "empirical_fs.cancellation"
"""The extension of a request: the `Cancellation` that may end it, or None."""
PROXY = "empirical_fs.proxy"
"""The extension of a request: the `Proxy` through which it goes, or None."""

_SOON_SECONDS = 0.02
_SILENT_SECONDS = 3.0
"""Seconds without an answer after which a kept connection is replaced by a new one, if there is time."""
_SLOWER, _REMEMBERED = 2.0, 0.9
"""A slow server gets this many times its recent slowest answer; that value decays by the second factor."""
_FOREVER = 3600.0
"""Seconds: the timeout where the request sets none."""


class PooledTransport(httpx.BaseTransport):
    """HTTP/1.1 over kept connections; the most recently used one is taken first.

    The lock guards the idle connections; a connection in use belongs to its request only.
    """

    def __init__(self, connections: int, context: ssl.SSLContext, permit: Permit) -> None:
        """Allow up to `connections` requests at once, to addresses that `permit` permits.

        Certificates are checked by `context`.
        """
        self._dialer = Dialer(context, permit)
        self._slots = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._idle = IdleConnections(connections)
        self._closed = False
        self._heads = _Heads()

    @property
    def is_here(self) -> bool:
        """Whether the last direct connection was to this machine; proxies do not count."""
        return self._dialer.is_here

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Like `request`, but blocks the calling thread."""
        return drive(self.request(request))

    def request(self, request: httpx.Request) -> Steps[httpx.Response]:
        """Send a request and return once the head of the answer is read; `BODY` is among its extensions.

        Raises:
            httpx.TransportError: no connection or no answer in time.
            UnsafeUrl: the server has no permitted address.
        """
        route = Route(Server.of(request.url), request.extensions.get(PROXY))
        timeout: dict[str, float | None] = request.extensions["timeout"]
        cancellation: Cancellation | None = request.extensions.get(CANCELLATION)

        def end(*, is_reusable: bool) -> None:
            if cancellation is not None:
                cancellation.detach()
            self._release(route, connection, is_reusable=is_reusable)

        if not self._slots.acquire(timeout=-1 if timeout["pool"] is None else timeout["pool"]):
            raise httpx.PoolTimeout("too many requests are under way")
        connection: HTTPConnection | None = None
        answer: Answer | None = None
        patience = _FOREVER if timeout["read"] is None else timeout["read"]
        begun = time.monotonic()
        try:
            connection = self._take(route)
            if connection is not None:
                limits = begun + self._heads.patience(route, patience), begun + patience
                answer = yield from _exchanged(connection, request, limits, cancellation, route)
                if answer is None:
                    # A router on the way may have dropped this connection, and then the other idle ones, too.
                    connection.close()
                    connection = None
                    self._drop_idle(route)
                    patience -= time.monotonic() - begun
            if connection is None and patience > 0:
                connection = yield from self._connect(route, timeout["connect"], cancellation)
                begun = time.monotonic()
                limits = begun + patience, begun + patience
                answer = yield from _exchanged(connection, request, limits, cancellation, route)
            if answer is None:
                raise httpx.ReadTimeout("no answer in time")
            self._heads.came(route, time.monotonic() - begun)
            # http.client drops its reference to the socket if the server will close the connection.
            connected = answer.connected
            connected.settimeout(request.extensions.get(BODY_TIMEOUT, timeout["read"]))
        except BaseException:
            if cancellation is None or not cancellation.is_cancelled:
                # The other idle connections are as old, perhaps from a network that was left since.
                self._drop_idle(route)
            end(is_reusable=False)
            raise
        stream = Stream(connected, answer, end)
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=stream,
            extensions={BODY: stream},
        )

    def close(self) -> None:
        """Close the idle connections now, and every other one when its request ends."""
        with self._lock:
            self._closed = True
            idle = self._idle.drop_all()
        _close(idle)

    def _release(self, route: Route, connection: HTTPConnection | None, *, is_reusable: bool) -> None:
        self._slots.release()
        if connection is None:
            return
        over = [connection]
        with self._lock:
            if is_reusable and not self._closed:
                over = self._idle.put(route, connection)
        _close(over)

    def _drop_idle(self, route: Route) -> None:
        with self._lock:
            idle = self._idle.drop(route)
        _close(idle)

    def _take(self, route: Route) -> HTTPConnection | None:
        """An idle connection; those on which data or the end has arrived are unusable, and closed."""
        while True:
            with self._lock:
                connection, over = self._idle.take(route)
            _close(over)
            if connection is None or not has_arrived(connection.sock):
                return connection
            connection.close()

    def _connect(
        self, route: Route, seconds: float | None, cancellation: Cancellation | None
    ) -> Steps[HTTPConnection]:
        ends_at = time.monotonic() + (_FOREVER if seconds is None else seconds)
        connection = HTTPConnection(route.server.host, route.server.port)
        try:
            # Given no socket, http.client would look up the name and connect by itself, unchecked.
            connection.sock = yield from self._dialer.dial(route, ends_at, cancellation)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("connecting took too long") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError("the connection could not be made") from error
        return connection


def _close(connections: list[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


def _ask(connection: HTTPConnection, request: httpx.Request, route: Route) -> None:
    with translated():
        # The extension is httpx's: a signed URL is sent byte for byte, not normalised.
        path = request.extensions.get("target", request.url.raw_path).decode("ascii")
        target = target_for_proxy(route, path, request.url.netloc)
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.raw:
            connection.putheader(name, value)
        if route.proxy is not None and not route.has_tunnel:
            for field, credentials in authorization(route.proxy).items():
                connection.putheader(field, credentials)
        connection.endheaders()


def _exchanged(
    connection: HTTPConnection,
    request: httpx.Request,
    limits: tuple[float, float],
    cancellation: Cancellation | None,
    route: Route,
) -> Steps[Answer | None]:
    """Send a request; the answer with its head. The first byte is due by the first limit, all by the second.

    None if no byte came by the first limit. Limits are times of the monotonic clock.
    """
    begins_by, ends_by = limits
    connected = connection.sock
    attach(cancellation, connected)
    connected.settimeout(max(ends_by - time.monotonic(), _SOON_SECONDS))
    _ask(connection, request, route)
    with translated():
        answer = Answer(connected, method=request.method)
        try:
            while not answer.has_head():
                left = (ends_by if answer.has_begun else begins_by) - time.monotonic()
                if left <= 0 or not (yield Readable(connected, left)):
                    if answer.has_begun:
                        raise TimeoutError
                    answer.close()
                    return None
            answer.allow(ends_by - time.monotonic())
            # http.client makes its own response object and begins to read: give it ours.
            connection.response_class = lambda *_, **__: answer  # type: ignore[assignment]
            return cast("Answer", connection.getresponse())
        except BaseException:
            answer.close()
            raise


class _Heads:
    """How long the heads of answers take lately: decides when a silent kept connection is given up.

    Threads may share it: an update that is lost in a race does not matter.
    """

    def __init__(self) -> None:
        self._slowest = LruTable[Route, float]()

    def came(self, route: Route, seconds: float) -> None:
        """Record that a head took so many seconds to arrive."""
        self._slowest.put(route, max(seconds, (self._slowest.get(route) or 0.0) * _REMEMBERED))

    def patience(self, route: Route, most: float) -> float:
        """Seconds that the next head may take on a kept connection, at most `most`."""
        usual = (self._slowest.get(route) or 0.0) * _SLOWER
        return min(max(min(_SILENT_SECONDS, most / 2), usual), most)
