"""The way to the network: httpx with our pools, timeouts and precautions, and nothing else."""

import errno
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import httpx

from empirical_fs import __version__
from empirical_fs.cancellation import Cancellation
from empirical_fs.certificates import create_context
from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, EmpiricalError, OutOfReach, SetupError, StoreUnavailable
from empirical_fs.net.addresses import Permit
from empirical_fs.net.circuit_breaker import Outages
from empirical_fs.net.http11 import BODY, BODY_TIMEOUT, CANCELLATION, PooledTransport, Stream
from empirical_fs.net.proxies import Proxies
from empirical_fs.net.retry import retry_after
from empirical_fs.net.turns import Turn, Turns
from empirical_fs.net.urls import is_loopback
from empirical_fs.server import Server
from empirical_fs.work.waits import Readable, Steps, drive

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
"""Seconds without the head of an answer after which a connection is given up."""
STALL_SECONDS = 5.0
"""The same for the next bytes of a body, which shows by its beginning that the server is there."""

_PROBE_SECONDS = 5.0
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_HEADERS = {"User-Agent": f"empirical-fs/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


def nothing() -> None:
    """Does nothing: there is nothing that is in the way."""


class Http:
    """Pools of connections to whatever hosts are asked for; to this machine never through a proxy.

    Immutable once made, and what httpx has of transports and clients is safe to share, so threads may use it
    side by side. Redirects are never followed here, cookies never kept, compressed bodies never asked for.
    """

    def __init__(  # noqa: PLR0913 - all that differs between the API and the store
        self,
        connections: int,
        unavailable: type[ApiUnavailable] | type[StoreUnavailable],
        closing: threading.Event,
        patience: float,
        *,
        permit: Permit,
        relieve: Callable[[], object] = nothing,
    ) -> None:
        """Make no connection yet.

        Args:
            connections: how many are open at most.
            unavailable: what transport errors are raised as.
            closing: set when all is over.
            patience: seconds that a caller waits; after half of it without the head of an answer, or a
                fourth without a byte of a body, there is time for another try.
            permit: which addresses may be connected to. A proxy connects by itself, in its own network.
            relieve: told when a server has too much to do: ends what nobody needs just now.

        Raises:
            SetupError: the certificates to trust, or a proxy, are not what the environment says.
        """
        self._unavailable = unavailable
        self._idle = min(IDLE_SECONDS, patience / 2)
        self._stall = min(STALL_SECONDS, patience / 4)
        self._outages = Outages(self._probe, closing.wait)
        self.gave_up = self._outages.gave_up
        self._turns = Turns()
        self._relieve = relieve
        try:
            context = create_context()
            # Without a client of httpx, whose redirects, cookies and so on we do not want, a request takes a
            # fifth less CPU.
            self._transport = PooledTransport(connections, context, permit)
            self._proxies = Proxies(connections, context)
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            # Its text may hold the password of a proxy.
            raise SetupError(
                f"connections cannot be set up ({type(error).__name__});"
                " check SSL_CERT_FILE, SSL_CERT_DIR and the proxy variables"
            ) from error

    def lost(self) -> dict[str, float]:
        """The hosts that are out of reach, and since how many seconds."""
        return self._outages.lost()

    @property
    def is_here(self) -> bool:
        """Whether the last connection was made to this machine; a proxy there does not count."""
        return self._transport.is_here

    @property
    def is_limited(self) -> bool:
        """Whether a server was asked for more than it bears, lately."""
        return self._turns.is_limited

    def close(self) -> None:
        """Close every connection."""
        self._turns.close()
        self._transport.close()
        self._proxies.close()

    def get(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None = None,
    ) -> httpx.Response:
        """As `request`, waiting in this thread."""
        return drive(self.request(url, headers, deadline, cancellation))

    def request(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None = None,
    ) -> Steps[httpx.Response]:
        """The head of the answer to a GET; the caller reads the body with `body` and closes it.

        By `cancellation` the request can be ended at any time, until the response is closed. Where the server
        has asked for fewer requests, this one waits for its turn; if the server still refuses it, and asks to
        be left alone for a time that there is, it waits for another.

        Raises:
            DeadlinePassed: before the request was sent.
            OutOfReach: the server has not answered others either.
            ApiUnavailable, StoreUnavailable: no answer, or the server asked to be left alone.
            UnsafeUrl: the server is at no address that may be connected to.
            Abandoned: it was cancelled before it was sent.
            Closing: all is over.
        """
        server = Server.of(url)
        while True:
            self._check_reach(server)
            pause = self._turns.pause(server)
            if pause and pause >= deadline.remaining():
                raise self._unavailable(f"{server.host} asked to be left alone", pause)
            turn = yield from self._turns.take(server, deadline, cancellation)
            try:
                self._check_reach(server)
                response = yield from self._request_in_turn(server, url, headers, deadline, cancellation)
                if not self._is_to_wait(response, turn, deadline):
                    response.stream = _InTurn(response.stream, turn)
                    return response
                response.close()
            except BaseException:
                turn.end()
                raise

    def _check_reach(self, server: Server) -> None:
        if self._outages.is_lost(server):
            raise OutOfReach(server.host)

    def _is_to_wait(self, response: httpx.Response, turn: Turn, deadline: Deadline) -> bool:
        """Whether the server refuses the request for now, and says for how long."""
        if response.status_code not in (_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE):
            turn.accepted()
            return False
        # What is busy with one object says so with 503, too, and may be well otherwise.
        asked = retry_after(response.headers) if response.status_code == _TOO_MANY_REQUESTS else None
        turn.refused(asked)
        self._relieve()
        return bool(asked) and asked is not None and asked < deadline.remaining()

    def _request_in_turn(
        self,
        server: Server,
        url: httpx.URL,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None,
    ) -> Steps[httpx.Response]:
        begun = time.monotonic()
        try:
            response = yield from self._request(url, headers, deadline, cancellation)
        except (ApiUnavailable, StoreUnavailable) as error:
            is_ours = cancellation is not None and cancellation.is_cancelled
            if error.silent is not None and not is_ours:
                self._outages.unanswered(server, begun)
            raise
        self._outages.answered(server)
        return response

    def _request(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None,
    ) -> Steps[httpx.Response]:
        # A plain-http request to this machine would show a proxy the key or the signature.
        proxy = None if is_loopback(url) else self._proxies.of(url)
        left = deadline.remaining()
        timeout = httpx.Timeout(
            connect=min(CONNECT_SECONDS, self._idle, left),
            read=min(self._idle, left),
            write=min(self._idle, left),
            pool=left,
        )
        extensions = {
            "timeout": timeout.as_dict(),
            BODY_TIMEOUT: self._stall,
            CANCELLATION: cancellation,
        }
        with self._translated(url):
            request = httpx.Request("GET", url, headers={**_HEADERS, **headers}, extensions=extensions)
            if proxy is None:
                response = yield from self._transport.request(request)
            else:
                response = proxy.handle_request(request)
        response.request = request
        return response

    def body(self, response: httpx.Response) -> "Incoming":
        """The body of an answer as it arrives.

        To read or to wait for it raises ApiUnavailable or StoreUnavailable where it stalls or breaks off.
        """
        stream: Stream | None = response.extensions.get(BODY)
        return Incoming(stream or _Pieces(response.iter_raw()), self._translated)

    def _probe(self, server: Server) -> bool:
        url = httpx.URL(scheme=server.scheme, host=server.host, port=server.port, path="/")
        try:
            drive(self._request(url, {}, Deadline.after(_PROBE_SECONDS), None)).close()
        except EmpiricalError:
            return False
        return True

    @contextmanager
    def _translated(self, asked: httpx.URL | None = None) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL, httpx.DecodingError) as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                # It answers, but is not to be trusted, and will not be in a moment either.
                raise self._unavailable(_describe(error), math.inf) from error
            silent = Server.of(asked) if asked and _is_silence(error) else None
            raise self._unavailable(_describe(error), silent=silent) from error


class _Source(Protocol):
    """Where a body comes from."""

    def wait(self) -> Readable | None:
        """What to wait for before something can be read; None if nothing."""

    def read_into(self, view: memoryview) -> int:
        """Read what has arrived, at least a byte; 0 at the end."""


class Incoming:
    """The body of an answer, whose errors are ours."""

    def __init__(self, source: _Source, translated: Callable[[], AbstractContextManager[None]]) -> None:
        """Read `source`, whose errors `translated` translates."""
        self._source = source
        self._translated = translated

    def arrived(self) -> Steps[None]:
        """Wait until something has arrived, or the end, where that can be told.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            wait = self._source.wait()
            if wait is not None and not (yield wait):
                raise httpx.ReadTimeout("the body stalled")

    def read_into(self, view: memoryview) -> int:
        """Read into a memoryview what has arrived: at least a byte, 0 at the end.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        with self._translated():
            return self._source.read_into(view)


class _InTurn(httpx.SyncByteStream):
    """The body of an answer, with whose end the turn of its request ends."""

    def __init__(self, stream: object, turn: Turn) -> None:
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream
        self._turn = turn

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._turn.end()


class _Pieces:
    """The body of an answer that came through a proxy, which httpx reads in pieces of its own."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def wait(self) -> Readable | None:
        return None  # nobody can tell

    def read_into(self, view: memoryview) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def _is_silence(error: Exception) -> bool:
    """Whether it may be the server's: having no connection or descriptor to spare says nothing about it."""
    if not isinstance(error, httpx.TransportError) or isinstance(error, httpx.PoolTimeout):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _SHORTAGES:
            return False
        cause = cause.__cause__
    return True


def _describe(error: Exception) -> str:
    """What happened, in words that cannot hold a URL or a header."""
    match error:
        case httpx.ConnectTimeout():
            return "connecting took too long"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError():
            return str(error) or "the connection could not be made"
        case httpx.ReadError() | httpx.WriteError() | httpx.RemoteProtocolError() | httpx.StreamError():
            return "the connection broke off"
        case _:
            return f"the request failed ({type(error).__name__})"
