"""The way to the network: httpx with our pools, timeouts and precautions, and nothing else."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import httpx

from empirical_fs import __version__
from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    ApiUnavailable,
    BadAnswer,
    EmpiricalError,
    Foreign,
    OutOfReach,
    StoreUnavailable,
    Unavailable,
)
from empirical_fs.net.addresses import Permit
from empirical_fs.net.certificates import create_context
from empirical_fs.net.circuit_breaker import Outages
from empirical_fs.net.http11 import BODY, BODY_TIMEOUT, CANCELLATION, PROXY, PooledTransport
from empirical_fs.net.incoming import Incoming, InTurn
from empirical_fs.net.network_failures import described, is_lasting, is_no_http, is_silence
from empirical_fs.net.proxies import Proxies, Proxy
from empirical_fs.net.recent import Recent
from empirical_fs.net.retry import retry_after
from empirical_fs.net.samples import Sample, Samples
from empirical_fs.net.turns import Turn, Turns
from empirical_fs.net.urls import is_loopback
from empirical_fs.net.vouching import Vouching
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps, drive

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
"""Seconds without the head of an answer after which a connection is given up."""
STALL_SECONDS = 5.0
"""The same for the next bytes of a body, which shows by its beginning that the server is there."""

_PROBE_SECONDS = 5.0
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503

_USELESS = {ApiUnavailable: Foreign, StoreUnavailable: BadAnswer}
"""What is raised where an answer came that cannot be read."""

_HEADERS = {"User-Agent": f"empirical-fs/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


def nothing() -> None:
    """Does nothing: there is nothing that is in the way."""


class _Question(NamedTuple):
    """What is asked, by when, and how it is ended before."""

    url: httpx.URL
    headers: dict[str, str]
    deadline: Deadline
    cancellation: Cancellation | None = None
    target: bytes | None = None


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
        self._samples = Samples()
        self.gave_up = self._outages.gave_up
        self._vouching = Vouching(self._ask_soon, self._samples)
        self.is_own_page = self._vouching.is_own
        self._turns = Turns()
        self._relieve = relieve
        self._were_well = Recent[Server, bool]()
        context = create_context()
        # Without a client of httpx, whose redirects, cookies and so on we do not want, a request takes a
        # fifth less CPU.
        self._transport = PooledTransport(connections, context, permit)
        self._proxies = Proxies()

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
        target: bytes | None = None,
    ) -> Steps[httpx.Response]:
        """The head of the answer to a GET; the caller reads the body with `body` and closes it.

        The server is asked for `target`, byte for byte; for what httpx makes of the URL, where that is None.
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
        question = _Question(url, headers, deadline, cancellation, target)
        while True:
            is_let_through = self._check_reach(server)
            pause = self._turns.pause(server)
            if pause and pause >= deadline.remaining():
                raise self._unavailable(f"{server.host} wants to be left alone for {pause:.0f} s", pause)
            turn = yield from self._turns.take(server, deadline, cancellation)
            try:
                if not is_let_through:
                    self._check_reach(server)
                response = yield from self._request_in_turn(server, question)
                if not self._is_to_wait(response, turn, deadline):
                    response.stream = InTurn(response.stream, turn)
                    return response
                response.close()
            except BaseException:
                turn.end()
                raise

    def _check_reach(self, server: Server) -> bool:
        """Whether the server is out of reach and asked all the same; OutOfReach if it is not to be asked."""
        if not self._outages.is_lost(server):
            return False
        if not self._outages.lets_through(server):
            raise OutOfReach(server.host)
        return True

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

    def _request_in_turn(self, server: Server, question: "_Question") -> Steps[httpx.Response]:
        begun = time.monotonic()
        try:
            response = yield from self._request(question)
        except Unavailable as error:
            is_ours = question.cancellation is not None and question.cancellation.is_cancelled
            if error.silent is not None and not is_ours:
                self._outages.unanswered(server, begun)
            raise
        self._outages.answered(server)
        if response.is_success:
            software = response.headers.get("server", "")
            self._samples.answered(server, Sample(question.url, question.headers, question.target, software))
        return response

    def _request(self, question: "_Question") -> Steps[httpx.Response]:
        url, headers, deadline, cancellation, target = question
        # A plain-http request to this machine would show a proxy the key or the signature.
        proxy = None if is_loopback(url) else self._proxies.of(url)
        left = deadline.remaining()
        timeout = httpx.Timeout(
            connect=min(CONNECT_SECONDS, self._idle, left),
            read=min(self._idle, left),
            write=min(self._idle, left),
            pool=left,
        )
        extensions: dict[str, Any] = {
            "timeout": timeout.as_dict(),
            BODY_TIMEOUT: self._stall,
            CANCELLATION: cancellation,
            PROXY: proxy,
        }
        if target is not None:
            extensions["target"] = target
        with self._translated(url, proxy):
            request = httpx.Request("GET", url, headers={**_HEADERS, **headers}, extensions=extensions)
            response = yield from self._transport.request(request)
        response.request = request
        self._were_well.put(Server.of(url), True)  # noqa: FBT003 - it was
        return response

    def body(self, response: httpx.Response) -> Incoming:
        """The body of an answer as it arrives.

        To read or to wait for it raises ApiUnavailable or StoreUnavailable where it stalls or breaks off.
        """
        translated = partial(self._translated, response.request.url, None, is_head=False)
        return Incoming(response.extensions[BODY], translated)

    def _probe(self, server: Server) -> bool:
        for sample in self._samples.of(server):
            try:
                drive(self._ask_soon(sample)).close()
            except EmpiricalError:
                continue
            return True
        return False

    def _ask_soon(self, sample: Sample) -> Steps[httpx.Response]:
        """As `request`, out of turn and within a few seconds."""
        deadline = Deadline.after(_PROBE_SECONDS)
        return self._request(_Question(sample.url, sample.headers, deadline, target=sample.target))

    @contextmanager
    def _translated(self, asked: httpx.URL, proxy: Proxy | None, *, is_head: bool = True) -> Iterator[None]:
        server = Server.of(asked)
        try:
            yield
        except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL, httpx.DecodingError) as error:
            trouble = described(error, server, proxy)
            if is_no_http(error):
                raise _USELESS[self._unavailable](trouble) from error
            if is_lasting(error):
                # It will not be otherwise in a moment, but for a server that was well: then it is what stands
                # in between, such as the sign-in page of a network, which goes.
                raise self._unavailable(trouble, lasting=not self._were_well.peek(server)) from error
            silent = server if is_head and is_silence(error) else None
            raise self._unavailable(trouble, silent=silent) from error
