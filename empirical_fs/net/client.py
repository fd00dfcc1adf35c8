"""All requests to the network go through here: httpx with our connection pools, timeouts and precautions."""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

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
from empirical_fs.net.circuit_breaker import Outages
from empirical_fs.net.destination import Destination
from empirical_fs.net.http11 import Answer, Limits, PooledTransport, Request
from empirical_fs.net.incoming import Incoming
from empirical_fs.net.lru_table import LruTable
from empirical_fs.net.network_failures import described, is_lasting, is_no_http, is_silence
from empirical_fs.net.not_found_pages import NotFoundPages
from empirical_fs.net.probe_requests import ProbeRequest, ProbeRequests
from empirical_fs.net.proxies import Proxies, Proxy
from empirical_fs.net.retry import retry_after
from empirical_fs.net.turns import Turn, Turns
from empirical_fs.server import Server
from empirical_fs.statistics import Kind, Outcome, Statistics
from empirical_fs.work.waits import Steps, drive

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
"""Seconds to wait for the head of an answer before the connection is given up."""
STALL_SECONDS = 5.0
"""The same for the next bytes of a body: shorter, since the head has shown that the server is up."""

_PROBE_SECONDS = 5.0
_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE = 429, 503

_UNTRANSLATED = (httpx.TransportError, httpx.StreamError, httpx.InvalidURL, httpx.DecodingError)
_PRECONDITION_FAILED, _RANGE_NOT_SATISFIABLE = 412, 416

_KINDS: dict[type[EmpiricalError], Kind] = {ApiUnavailable: "api", StoreUnavailable: "store"}
_OUTCOMES: dict[int, Outcome] = {
    _TOO_MANY_REQUESTS: "busy",
    _SERVICE_UNAVAILABLE: "busy",
    _PRECONDITION_FAILED: "unsatisfied",
    _RANGE_NOT_SATISFIABLE: "unsatisfied",
}
_OUTCOMES_OF_CLASSES: dict[int, Outcome] = {
    2: "success",
    3: "redirect",
    4: "client_error",
    5: "server_error",
}
"""What the other answers count as, by the first digit of their status."""
_USELESS = {ApiUnavailable: Foreign, StoreUnavailable: BadAnswer}
"""What is raised for an answer that cannot be parsed."""

_HEADERS = {"User-Agent": f"empirical-fs/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}


def nothing() -> None:
    """Do nothing: the default of `relieve`."""


class _Question(NamedTuple):
    """A request, its deadline, and how it can be cancelled before that."""

    destination: Destination
    headers: dict[str, str]
    deadline: Deadline
    cancellation: Cancellation | None = None


@dataclass(frozen=True)
class Common:
    """What the clients of one mount have in common."""

    context: ssl.SSLContext
    """How certificates are checked."""
    closing: threading.Event
    """Set when the file system is being unmounted."""
    patience: float
    """Seconds that a caller waits. A try ends after half of it without the head of an answer, or after a
    fourth of it without a byte of a body, so that there is time for another one."""
    statistics: Statistics = field(default_factory=Statistics)
    """Counts the requests."""


class Http:
    """Sends GET requests over pooled connections to any host; to this machine never through a proxy.

    Threads may share it: it does not change once made, and its parts have their own locks. It never follows
    redirects, never keeps cookies, and never asks for compressed bodies.
    """

    def __init__(
        self,
        connections: int,
        unavailable: type[ApiUnavailable] | type[StoreUnavailable],
        common: Common,
        *,
        permit: Permit,
        relieve: Callable[[], object] = nothing,
    ) -> None:
        """Make no connection yet.

        Args:
            connections: how many are open at most.
            unavailable: the exception that transport errors are raised as.
            common: what it shares with the other clients.
            permit: which addresses may be connected to. Not checked behind a proxy, which connects itself.
            relieve: called when a server refuses a request as too many: ends requests that no caller waits
                for at the moment.

        Raises:
            SetupError: the environment names a proxy that cannot be used.
        """
        self._unavailable = unavailable
        self._statistics, self._kind = common.statistics, _KINDS[unavailable]
        self._idle = min(IDLE_SECONDS, common.patience / 2)
        self._stall = min(STALL_SECONDS, common.patience / 4)
        self._outages = Outages(self._probe, common.closing.wait)
        self._probe_requests = ProbeRequests()
        self.gave_up = self._outages.gave_up
        self._not_found_pages = NotFoundPages(self._ask_soon, self._probe_requests)
        self.is_own_page = self._not_found_pages.is_own
        self._turns = Turns()
        self._relieve = relieve
        self._were_well = LruTable[Server, bool]()
        # Not httpx.Client, whose redirects, cookies and so on we do not want: without it a request takes a
        # fifth less CPU.
        self._transport = PooledTransport(connections, common.context, permit)
        self._proxies = Proxies()

    def presume_lost(self, probe: httpx.URL, headers: dict[str, str]) -> None:
        """Assume that the server of `probe` is out of reach until it answers that request."""
        server = Server.of(probe)
        self._probe_requests.answered(server, ProbeRequest(probe, headers))
        self._outages.presume_lost(server)

    def lost(self) -> dict[str, float]:
        """The hosts that are unreachable, and for how many seconds they have been."""
        return self._outages.lost()

    @property
    def is_here(self) -> bool:
        """Whether the last direct connection was to this machine; proxies do not count."""
        return self._transport.is_here

    @property
    def is_limited(self) -> bool:
        """Whether a server has lately refused requests as too many, so that fewer are sent."""
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
    ) -> Answer:
        """Like `request`, but blocks the calling thread."""
        return drive(self.request(Destination.of(url), headers, deadline, cancellation))

    def request(
        self,
        destination: Destination,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None = None,
    ) -> Steps[Answer]:
        """Send a GET request; returns the head of the answer. The caller reads it with `body` and closes it.

        `cancellation` can end the request at any time until the answer is closed. If the server has asked for
        fewer requests, this one waits for its turn; if the server still refuses it and asks for a pause that
        ends before the deadline, it waits for another turn.

        Raises:
            DeadlinePassed: the deadline passed before the request was sent.
            OutOfReach: the server is known to be unreachable.
            ApiUnavailable, StoreUnavailable: no answer, or the server asked for a pause beyond the deadline.
            UnsafeUrl: the server has no address that may be connected to.
            Abandoned: it was cancelled before it was sent.
            Closing: the file system is being unmounted.
        """
        server = destination.origin.server
        question = _Question(destination, headers, deadline, cancellation)
        while True:
            is_let_through = self._check_reach(server)
            pause = self._turns.pause(server)
            if pause and pause >= deadline.remaining():
                raise self._unavailable(f"{server.host} asks for a pause of {pause:.0f} s", pause)
            turn = yield from self._turns.take(server, deadline, cancellation)
            try:
                if not is_let_through:
                    self._check_reach(server)
                response = yield from self._request_in_turn(server, question)
                if not self._is_to_wait(response, turn, deadline):
                    response.then = turn.end
                    return response
                response.close()
            except BaseException:
                turn.end()
                raise

    def _check_reach(self, server: Server) -> bool:
        """Whether this request is let through to an unreachable server; raises OutOfReach if it is not."""
        if not self._outages.is_lost(server):
            return False
        if not self._outages.lets_through(server):
            raise OutOfReach(server.host)
        return True

    def _is_to_wait(self, response: Answer, turn: Turn, deadline: Deadline) -> bool:
        """Whether the server refuses the request for now and says for how long, within the deadline."""
        if response.status_code not in (_TOO_MANY_REQUESTS, _SERVICE_UNAVAILABLE):
            turn.accepted()
            return False
        # A store also answers 503 when it is busy with one object only, and may serve all others.
        asked = retry_after(response.headers) if response.status_code == _TOO_MANY_REQUESTS else None
        turn.refused(asked)
        self._relieve()
        return bool(asked) and asked is not None and asked < deadline.remaining()

    def _request_in_turn(self, server: Server, question: "_Question") -> Steps[Answer]:
        begun = time.monotonic()
        try:
            response = yield from self._request(question)
        except Unavailable as error:
            is_ours = question.cancellation is not None and question.cancellation.is_cancelled
            if error.silent is not None and not is_ours:
                self._outages.unanswered(server, begun)
            raise
        self._outages.answered(server)
        to = question.destination
        if response.is_success and self._probe_requests.is_due(server, to.target):
            software = response.headers.get("server", "")
            self._probe_requests.answered(server, ProbeRequest(to.url, question.headers, to.target, software))
        return response

    def _request(self, question: "_Question") -> Steps[Answer]:
        destination, headers, deadline, cancellation = question
        origin = destination.origin
        # A proxy would see the key or the signature of a plain-http request to this machine.
        proxy = None if origin.is_loopback else self._proxies.of(origin.url)
        left = deadline.remaining()
        limits = Limits(left, min(CONNECT_SECONDS, self._idle, left), min(self._idle, left), self._stall)
        server = origin.server
        request = Request(
            server,
            origin.host,
            destination.target.decode("ascii"),
            {**_HEADERS, **headers},
            limits,
            proxy,
            cancellation,
        )
        try:
            answer = yield from self._counted(self._transport.request(request), cancellation)
        except _UNTRANSLATED as error:
            self._raise_translated(error, server, proxy)
        if not self._were_well.peek(server):
            self._were_well.put(server, True)  # noqa: FBT003 - the answer shows it
        return answer

    def _counted(self, sending: Steps[Answer], cancellation: Cancellation | None) -> Steps[Answer]:
        begun = time.monotonic()
        outcome: Outcome = "cancelled"  # so it is where this generator is closed
        try:
            response = yield from sending
        except Exception:
            if cancellation is None or not cancellation.is_cancelled:
                outcome = "no_answer"
            raise
        else:
            outcome = _outcome(response.status_code)
            return response
        finally:
            self._statistics.requested(self._kind, outcome, time.monotonic() - begun)

    def body(self, response: Answer) -> Incoming:
        """The body of an answer as it arrives.

        Its methods raise ApiUnavailable or StoreUnavailable where it stalls or breaks off.
        """
        return Incoming(
            response.stream,
            lambda error: self._raise_translated(error, response.server, None, is_head=False),
        )

    def _probe(self, server: Server) -> bool:
        for sample in self._probe_requests.of(server):
            try:
                drive(self._ask_soon(sample)).close()
            except EmpiricalError:
                continue
            return True
        return False

    def _ask_soon(self, sample: ProbeRequest) -> Steps[Answer]:
        """Like `request`, but without waiting for a turn, and within a few seconds."""
        deadline = Deadline.after(_PROBE_SECONDS)
        return self._request(_Question(Destination.of(sample.url, sample.target), sample.headers, deadline))

    def _raise_translated(
        self, error: Exception, server: Server, proxy: Proxy | None, *, is_head: bool = True
    ) -> NoReturn:
        trouble = described(error, server, proxy)
        if is_no_http(error):
            raise _USELESS[self._unavailable](trouble) from error
        if is_lasting(error):
            # Another try would fail, too, unless the server has answered well before: then something in
            # between causes it, such as the sign-in page of a network, and that ends.
            raise self._unavailable(trouble, lasting=not self._were_well.peek(server)) from error
        silent = server if is_head and is_silence(error) else None
        raise self._unavailable(trouble, silent=silent) from error


def _outcome(status: int) -> Outcome:
    """What a status counts as; one that HTTP does not have is no answer."""
    return _OUTCOMES.get(status) or _OUTCOMES_OF_CLASSES.get(status // 100, "no_answer")
