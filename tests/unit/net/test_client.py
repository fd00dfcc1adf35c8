"""What becomes known of a server by the requests to it."""

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, BadAnswer, EmpiricalError, OutOfReach, StoreUnavailable
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.client import Http
from empirical_fs.server import Server
from empirical_fs.statistics import Kind, Outcome
from tests.support.common import common
from tests.support.harness import wait_until
from tests.support.wire import GOOD, Listening, hang_up, read, sending, talking


class Silent(Listening):
    """A server that takes requests and answers none."""

    def serve(self, connection: socket.socket, number: int) -> None:
        while connection.recv(1000):
            pass


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def probes(http: Http) -> int:
    return sum(known.watch.is_busy for _, known in http._outages._servers.items())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_only_silence_is_looked_into(silent: Silent, *, is_cancelled: bool) -> None:
    """A request that we end ourselves says nothing of the server, and has nobody probe it."""
    closing, cancellation = threading.Event(), Cancellation()
    http = Http(4, StoreUnavailable, common(2.0, closing), permit=permits_all)
    if is_cancelled:
        timer = threading.Timer(0.2, cancellation.cancel)
        timer.start()
    with pytest.raises(StoreUnavailable):
        http.get(httpx.URL(silent.origin), {}, Deadline.after(5), cancellation)
    if is_cancelled:
        timer.join()
        assert (silent.connections, probes(http)) == (1, 0)
    else:
        wait_until(lambda: silent.connections == 2, "the probe")
    closing.set()
    http.close()
    wait_until(lambda: probes(http) == 0, "the end of the probe")


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_having_no_descriptor_is_no_silence(silent: Silent) -> None:
    """What we lack ourselves says nothing of the server, which is neither probed nor held to be lost."""
    closing = threading.Event()
    http = Http(4, StoreUnavailable, common(2.0, closing), permit=permits_all)
    with no_descriptors(), pytest.raises(StoreUnavailable) as caught:
        http.get(httpx.URL(silent.origin), {}, Deadline.after(5))
    assert caught.value.silent is None
    assert (silent.connections, probes(http)) == (0, 0)
    closing.set()
    http.close()


def test_where_a_server_turned_out_to_be(silent: Silent) -> None:
    """Whether an API is on this machine is known by the address that was connected to."""
    closing = threading.Event()
    http = Http(4, ApiUnavailable, common(0.4, closing), permit=permits_all)
    assert not http.is_here
    with pytest.raises(ApiUnavailable):
        http.get(httpx.URL(silent.origin), {}, Deadline.after(0.4))
    assert http.is_here
    closing.set()
    http.close()


def outcomes(http: Http) -> dict[tuple[Kind, Outcome], int]:
    return http._statistics.counts().requests


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"206 Partial Content", "success"),
        (b"304 Not Modified", "redirect"),
        (b"403 Forbidden", "client_error"),
        (b"412 Precondition Failed", "unsatisfied"),
        (b"416 Range Not Satisfiable", "unsatisfied"),
        (b"429 Too Many Requests", "busy"),
        (b"500 Internal Server Error", "server_error"),
        (b"503 Service Unavailable", "busy"),
        (b"999 ?", "no_answer"),
    ],
)
def test_answers_are_counted_by_their_status(head: bytes, outcome: Outcome) -> None:
    with talking(sending(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n"), None) as (wire, http):
        with suppress(EmpiricalError):
            read(wire, http, 5)
        assert outcomes(http) == {("store", outcome): 1}
        assert http._statistics.counts().request_waits["store"].count == 1


@pytest.mark.parametrize(("is_cancelled", "outcome"), [(False, "no_answer"), (True, "cancelled")])
def test_what_has_no_answer_is_counted(silent: Silent, *, is_cancelled: bool, outcome: Outcome) -> None:
    """A server's silence, and that we gave a request up, are two things."""
    closing, cancellation = threading.Event(), Cancellation()
    http = Http(4, ApiUnavailable, common(0.4, closing), permit=permits_all)
    if is_cancelled:
        timer = threading.Timer(0.05, cancellation.cancel)
        timer.start()
    with pytest.raises(ApiUnavailable):
        http.get(httpx.URL(silent.origin), {}, Deadline.after(5), cancellation)
    assert outcomes(http)["api", outcome] == 1
    closing.set()
    http.close()


class Garbage(Listening):
    """A server that answers what no client can parse."""

    def serve(self, connection: socket.socket, number: int) -> None:
        connection.recv(1000)
        connection.sendall(b"\x00\x01 this is no HTTP\r\n\r\n")
        hang_up(connection)


def test_where_a_server_is_that_has_not_proved_itself() -> None:
    """What does not show a certificate may be anybody, so it says nothing of where the server is."""
    server, closing = Garbage(), threading.Event()
    http = Http(4, ApiUnavailable, common(2.0, closing), permit=permits_all)
    try:
        with pytest.raises(ApiUnavailable):
            http.get(httpx.URL(server.origin.replace("http:", "https:")), {}, Deadline.after(5))
        assert not http.is_here
    finally:
        closing.set()
        http.close()
        server.close()


def test_what_cannot_be_parsed_is_no_silence() -> None:
    """It may be one object's answer: the server is neither probed nor held to be lost."""
    server, closing = Garbage(), threading.Event()
    http = Http(4, StoreUnavailable, common(2.0, closing), permit=permits_all)
    try:
        with pytest.raises(BadAnswer):
            http.get(httpx.URL(server.origin), {}, Deadline.after(5))
        assert probes(http) == 0
    finally:
        closing.set()
        http.close()
        server.close()


class Choosy(Listening):
    """A server that closes `GET /` without an answer, and all else while it is down."""

    def __init__(self) -> None:
        self.is_down = False
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        while asked := connection.recv(1000):
            if self.is_down or asked.startswith(b"GET / "):
                break
            connection.sendall(GOOD)
        hang_up(connection)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
def test_an_outage_ends_when_the_server_answers(*, is_known: bool) -> None:
    """It is asked for what it answered before; where that is nothing, somebody who asks is let through."""
    server, closing = Choosy(), threading.Event()
    http = Http(4, StoreUnavailable, common(2.0, closing), permit=permits_all)
    url = httpx.URL(f"{server.origin}/object")
    try:
        if is_known:
            http.get(url, {}, Deadline.after(5)).close()
        server.is_down = True
        with pytest.raises(StoreUnavailable):
            http.get(url, {}, Deadline.after(5))
        http.gave_up(Server.of(url), time.monotonic())
        assert http.lost()
        server.is_down = False
        if is_known:
            wait_until(lambda: not http.lost(), "the answer to a probe", 15)
        wait_until(lambda: is_answered(http, url), "an answer", 15)
        assert not http.lost()
    finally:
        closing.set()
        http.close()
        server.close()


def is_answered(http: Http, url: httpx.URL) -> bool:
    try:
        http.get(url, {}, Deadline.after(5)).close()
    except (OutOfReach, StoreUnavailable):
        return False
    return True
