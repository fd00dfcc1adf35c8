"""HTTP/1.1 over pooled connections; a body is read directly into the caller's memory.

httpx's own transport passes every body through h11, which copies it several times: 0.9 s of CPU per GB,
against 0.2 s this way. Its requests and answers, with their headers, take as much CPU as all the rest of a
small request, so these are ours, too.
"""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from empirical_fs.cancellation import Cancellation
from empirical_fs.net.addresses import Permit
from empirical_fs.net.dialing import Dialer, attach
from empirical_fs.net.heads import ArrivingHead, Head
from empirical_fs.net.idle_connections import IdleConnections
from empirical_fs.net.lru_table import LruTable
from empirical_fs.net.nested_tls import NestedTls
from empirical_fs.net.proxies import Proxy, Route
from empirical_fs.net.streams import FOREVER, Stream, raise_translated
from empirical_fs.net.tunnels import authorization, target_for_proxy
from empirical_fs.server import Server
from empirical_fs.work.waits import Readable, Steps, drive, has_arrived, has_pending

BODY = "empirical_fs.body"
"""The extension of a response of httpx that holds its `Stream`, which reads the body into given memory."""
CANCELLATION = "empirical_fs.cancellation"
"""The extension of a request of httpx: the `Cancellation` that may end it, or None."""
PROXY = "empirical_fs.proxy"
"""The extension of a request of httpx: the `Proxy` through which it goes, or None."""

_SOON_SECONDS = 0.02
_SILENT_SECONDS = 3.0
"""Seconds without an answer after which a kept connection is replaced by a new one, if there is time."""
_SLOWER, _REMEMBERED = 2.0, 0.9
"""A slow server gets this many times its recent slowest answer; that value decays by the second factor."""
_TARGET = re.compile(r"[\x21-\x7e]+")
_NEVER = re.compile(r"[\x00\r\n]")


def _nothing() -> None:
    """Does nothing: the default of what is called."""


class Limits(NamedTuple):
    """How long the steps of a request may take, in seconds; None for as long as they take."""

    slot: float | None
    """Until fewer requests are under way."""
    connect: float | None
    head: float | None
    """Until the head of the answer."""
    pause: float | None
    """Between bytes of the body."""


class Request(NamedTuple):
    """A GET request."""

    server: Server
    host: str
    """The Host field (RFC 9110, 7.2)."""
    target: str
    """The request target, as it is sent."""
    headers: Mapping[str, str]
    """The other fields."""
    limits: Limits
    proxy: Proxy | None = None
    cancellation: Cancellation | None = None


@dataclass(slots=True)
class Answer:
    """An answer, of which the head was read. Whoever got it closes it."""

    server: Server
    status_code: int
    headers: Mapping[str, str]
    """As `Head` has them."""
    stream: Stream
    then: Callable[[], object] = field(default=_nothing)
    """Called when it was closed."""

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx (RFC 9110, 15.3)."""
        return self.status_code // 100 == 2  # noqa: PLR2004 - the class

    def close(self) -> None:
        """Give the connection back; it is kept if the body was read to its end."""
        then, self.then = self.then, _nothing
        try:
            self.stream.close()
        finally:
            then()


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
        """Like `request`, for a client of httpx: blocks the calling thread; `BODY` is an extension."""
        timeout: dict[str, float | None] = request.extensions["timeout"]
        headers = {name.decode(): value.decode() for name, value in request.headers.raw if name != b"Host"}
        target: bytes = request.extensions.get("target", request.url.raw_path)
        asked = Request(
            Server.of(request.url),
            request.headers["host"],
            target.decode("ascii"),
            headers,
            Limits(timeout["pool"], timeout["connect"], timeout["read"], timeout["read"]),
            request.extensions.get(PROXY),
            request.extensions.get(CANCELLATION),
        )
        answer = drive(self.request(asked))
        extensions = {BODY: answer.stream}
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=answer.stream, extensions=extensions
        )

    def request(self, request: Request) -> Steps[Answer]:
        """Send a request and return once the head of the answer is read.

        Raises:
            httpx.TransportError: no connection or no answer in time.
            UnsafeUrl: the server has no permitted address.
        """
        route = Route(request.server, request.proxy)
        limits, cancellation = request.limits, request.cancellation

        def end(*, is_reusable: bool) -> None:
            if cancellation is not None:
                cancellation.detach()
            self._release(route, connection, is_reusable=is_reusable)

        if not self._slots.acquire(timeout=-1 if limits.slot is None else limits.slot):
            raise httpx.PoolTimeout("too many requests are under way")
        connection: socket.socket | None = None
        come: tuple[Head, ArrivingHead] | None = None
        patience = FOREVER if limits.head is None else limits.head
        begun = time.monotonic()
        try:
            asked = _asked(request, route)
            connection = self._take(route)
            if connection is not None:
                begins_by = begun + self._heads.patience(route, patience)
                come = yield from _exchanged(connection, asked, begins_by, begun + patience, cancellation)
                if come is None:
                    # A router on the way may have dropped this connection, and then the other idle ones, too.
                    connection.close()
                    connection = None
                    self._drop_idle(route)
                    patience -= time.monotonic() - begun
            if connection is None and patience > 0:
                connection = yield from self._connect(route, limits.connect, cancellation)
                begun = time.monotonic()
                ends_by = begun + patience
                come = yield from _exchanged(connection, asked, ends_by, ends_by, cancellation)
            if connection is None or come is None:
                raise httpx.ReadTimeout("no answer in time")
            head, rest = come
            self._heads.came(route, time.monotonic() - begun)
            stream = Stream(connection, rest, head, limits.pause, end)
        except BaseException:
            if cancellation is None or not cancellation.is_cancelled:
                # The other idle connections are as old, perhaps from a network that was left since.
                self._drop_idle(route)
            end(is_reusable=False)
            raise
        return Answer(request.server, head.status, head.headers, stream)

    def close(self) -> None:
        """Close the idle connections now, and every other one when its request ends."""
        with self._lock:
            self._closed = True
            idle = self._idle.drop_all()
        _close(idle)

    def _release(self, route: Route, connection: socket.socket | None, *, is_reusable: bool) -> None:
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

    def _take(self, route: Route) -> socket.socket | None:
        """An idle connection; those on which data or the end has arrived are unusable, and closed."""
        while True:
            with self._lock:
                connection, over = self._idle.take(route)
            _close(over)
            if connection is None or not has_arrived(connection):
                return connection
            connection.close()

    def _connect(
        self, route: Route, seconds: float | None, cancellation: Cancellation | None
    ) -> Steps[socket.socket]:
        ends_at = time.monotonic() + (FOREVER if seconds is None else seconds)
        try:
            connection = yield from self._dialer.dial(route, ends_at, cancellation)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("connecting took too long") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError("the connection could not be made") from error
        connection.settimeout(0)  # and it stays so, since each change lets other threads go first
        return connection


def _close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


def _asked(request: Request, route: Route) -> bytes:
    """The request as it is sent.

    Raises:
        httpx.LocalProtocolError: something in it would be another line or another request.
    """
    target = target_for_proxy(route, request.target, request.host)
    headers = request.headers
    if route.proxy is not None and not route.has_tunnel:
        headers = {**headers, **authorization(route.proxy)}
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if _TARGET.fullmatch(target) is None or _NEVER.search(
        "".join((request.host, *headers, *headers.values()))
    ):
        raise httpx.LocalProtocolError("a request with line ends in it")
    return f"GET {target} HTTP/1.1\r\nHost: {request.host}\r\n{fields}\r\n".encode("latin-1", "replace")


def _exchanged(
    connection: socket.socket,
    asked: bytes,
    begins_by: float,
    ends_by: float,
    cancellation: Cancellation | None,
) -> Steps[tuple[Head, ArrivingHead] | None]:
    """Send a request; the head of the answer, and what came with it.

    None if no byte came until `begins_by`. All must come until `ends_by`; both are times of the monotonic
    clock.
    """
    attach(cancellation, connection)
    arriving = ArrivingHead(connection)
    try:
        _send(connection, asked, ends_by)
        # The answer cannot be there yet; but TLS may have decrypted something that no socket shows.
        has_come = has_pending(connection) and arriving.has_come()
        while not has_come:
            left = (ends_by if arriving.has_begun else begins_by) - time.monotonic()
            if left <= 0 or not (yield Readable(connection, left)):
                if arriving.has_begun:
                    raise TimeoutError
                return None
            has_come = arriving.has_come()
        return arriving.take(), arriving
    except (OSError, ValueError) as error:
        raise_translated(error)


def _send(connection: socket.socket, data: bytes, ends_by: float) -> None:
    """Send all of `data`; what the system has no room for is waited for, until `ends_by`."""
    sent = 0
    if not isinstance(connection, NestedTls):  # whose carrier may take a part of a record
        with suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = connection.send(data)
    if sent < len(data):
        connection.settimeout(max(ends_by - time.monotonic(), _SOON_SECONDS))
        connection.sendall(data[sent:])
        connection.settimeout(0)


class _Heads:
    """How long the heads of answers take lately: decides when a silent kept connection is given up.

    Threads may share it: an update that is lost in a race does not matter.
    """

    def __init__(self) -> None:
        self._slowest = LruTable[Route, float]()

    def came(self, route: Route, seconds: float) -> None:
        """Record that a head took so many seconds to arrive."""
        self._slowest.put(route, max(seconds, (self._slowest.peek(route) or 0.0) * _REMEMBERED))

    def patience(self, route: Route, most: float) -> float:
        """Seconds that the next head may take on a kept connection, at most `most`."""
        usual = (self._slowest.peek(route) or 0.0) * _SLOWER
        return min(max(min(_SILENT_SECONDS, most / 2), usual), most)
