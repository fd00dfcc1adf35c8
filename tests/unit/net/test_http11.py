"""The transport against a server that is told each byte to send, over real sockets."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from empirical_fs.net.addresses import permits_all
from empirical_fs.net.http11 import BODY, Limits, PooledTransport, Request
from empirical_fs.server import Server
from empirical_fs.work.waits import drive
from tests.support import nginx
from tests.support.ports import unused_port
from tests.support.wire import Listening, Send, hang_up

PATIENCE = 10.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def answer(body: bytes, length: int | None = None) -> Send:
    """An answer that announces `length` bytes, by default those of `body`."""
    head = HEAD % (len(body) if length is None else length)
    return lambda connection: connection.sendall(head + body)


class Scripted(Listening):
    """A server that answers the requests of each connection by its script, in order, then waits."""

    def __init__(self) -> None:
        self.scripts: list[list[Send]] = []
        self.requests: list[bytes] = []
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as lines:
            for send in self.scripts[number]:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    try:
                        line = lines.readline()
                    except ConnectionResetError:  # left with bytes unread
                        return
                    if not line:
                        return
                    request += line
                self.requests.append(request)
                send(connection)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


class Encrypted(Scripted):
    """The same over TLS."""

    def __init__(self, folder: Path, names: str = "IP:127.0.0.1") -> None:
        nginx.make_certificate(folder, names)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.trusted = ssl.create_default_context(cafile=nginx.authority(folder))
        super().__init__()
        self.origin = self.origin.replace("http:", "https:")

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as encrypted:
            super().serve(encrypted, number)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Encrypted]:
    server = Encrypted(tmp_path)
    yield server
    server.close()


@contextmanager
def connected(connections: int = 4, trusted: ssl.SSLContext | None = None) -> Iterator[httpx.Client]:
    transport = PooledTransport(connections, trusted or ssl.create_default_context(), permits_all)
    with httpx.Client(transport=transport, timeout=PATIENCE, trust_env=False) as client:
        yield client


def read_into(response: httpx.Response, size: int) -> bytes:
    """What one call reads into a view of `size` bytes."""
    buffer = bytearray(size)
    count: int = response.extensions[BODY].read_into(memoryview(buffer))
    assert not any(buffer[count:])
    return bytes(buffer[:count])


def read_all(response: httpx.Response, size: int = 1000) -> bytes:
    return b"".join(iter(lambda: read_into(response, size), b""))


def test_a_connection_is_used_again(scripted: Scripted) -> None:
    """A body that was read to its end leaves the connection to the next request."""
    scripted.scripts = [[answer(b"one"), answer(b""), answer(b"three")]]
    with connected() as client:
        assert [client.get(scripted.origin).content for _ in range(3)] == [b"one", b"", b"three"]
    assert scripted.connections == 1


def test_the_request_is_as_httpx_made_it(scripted: Scripted) -> None:
    """The request line and each header are sent once, and nothing is added."""
    scripted.scripts = [[answer(b"")]]
    with connected() as client:
        client.get(f"{scripted.origin}/a%20b?c=d%2Fe", headers={"Range": "bytes=0-1"})
    line, *headers = scripted.requests[0].decode().splitlines()
    assert line == "GET /a%20b?c=d%2Fe HTTP/1.1"
    names = [header.partition(":")[0].lower() for header in headers if header]
    assert sorted(names) == sorted(set(names))
    assert "Range: bytes=0-1" in headers
    assert f"Host: {scripted.origin.removeprefix('http://')}" in headers


def test_a_body_left_in_the_middle_closes_the_connection(scripted: Scripted) -> None:
    """The rest of a body that nobody wants never comes before the next answer."""
    scripted.scripts = [[answer(b"a" * 1000)], [answer(b"next")]]
    with connected() as client:
        with client.stream("GET", scripted.origin) as response:
            assert read_into(response, 10) == b"a" * 10
        assert client.get(scripted.origin).content == b"next"
    assert scripted.connections == 2


def test_the_server_may_ask_to_close(scripted: Scripted) -> None:
    """A connection of which the server says that it closes is not used again."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    scripted.scripts = [[lambda connection: connection.sendall(head)], [answer(b"next")]]
    with connected() as client:
        assert client.get(scripted.origin).content == b"ok"
        assert client.get(scripted.origin).content == b"next"


@pytest.mark.parametrize("left", range(1, len(b'ETag: "v1"\r\n\r\n')))
def test_a_head_that_breaks_off(scripted: Scripted, left: int) -> None:
    """The end of the connection is not the end of the head: half a value is none."""
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "v1"\r\n\r\n'

    def send(connection: socket.socket) -> None:
        connection.sendall(head[:-left])
        hang_up(connection)

    scripted.scripts = [[send]]
    with connected() as client, pytest.raises(httpx.TransportError):
        client.get(scripted.origin)


@pytest.mark.parametrize("size", [10, 8000, 20_000, 100_000])
@pytest.mark.parametrize("surplus", [b"x", HEAD % 5 + b"wrong", HEAD % 20_000 + b"wrong" * 4000])
def test_what_follows_a_body_is_never_an_answer(encrypted: Encrypted, size: int, surplus: bytes) -> None:
    """Over TLS too, a connection on which more came than the body is not used again."""
    body = bytes(size)
    both = HEAD % size + body + surplus
    encrypted.scripts = [[lambda connection: connection.sendall(both)] * 2, [answer(b"right")]]
    with connected(trusted=encrypted.trusted) as client:
        assert client.get(encrypted.origin).content == body
        assert client.get(encrypted.origin).content == b"right"
    assert encrypted.connections == 2


def test_a_connection_over_tls_is_used_again(encrypted: Encrypted) -> None:
    """Over TLS, a body that was read to its end leaves the connection to the next request."""
    bodies = [bytes(size) for size in (1, 20_000, 100_000, 0)]
    encrypted.scripts = [[answer(body) for body in bodies]]
    with connected(trusted=encrypted.trusted) as client:
        assert [client.get(encrypted.origin).content for _ in bodies] == bodies
    assert encrypted.connections == 1


def time_out(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 408 \r\n\r\n")


@pytest.mark.parametrize("farewell", [hang_up, time_out])
def test_an_idle_connection_that_spoke_is_not_used(scripted: Scripted, farewell: Send) -> None:
    """A kept connection that was closed, or on which something came unasked, is replaced unnoticed."""

    def send(connection: socket.socket) -> None:
        answer(b"one")(connection)
        assert is_read.wait(PATIENCE)
        farewell(connection)
        said.set()

    is_read, said = threading.Event(), threading.Event()
    scripted.scripts = [[send], [answer(b"two")]]
    with connected() as client:
        assert client.get(scripted.origin).content == b"one"
        is_read.set()
        assert said.wait(PATIENCE)
        assert client.get(scripted.origin).content == b"two"


@pytest.mark.parametrize("reset", [False, True])
def test_what_arrived_before_the_end_is_handed_over(scripted: Scripted, *, reset: bool) -> None:
    """A body that breaks off loses none of the bytes that came before, however they are gathered."""
    data = bytes(range(256)) * 200

    def send(connection: socket.socket) -> None:
        answer(data, length=100_000)(connection)
        if reset:
            assert go.wait(PATIENCE)
            # Closed without lingering, by the end of its script, a connection is reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            hang_up(connection)

    go = threading.Event()
    scripted.scripts = [[send]]
    with connected() as client, client.stream("GET", scripted.origin) as response:
        got = bytearray()
        while len(got) < len(data):
            got += read_into(response, 30_000)
        assert got == data
        go.set()
        with pytest.raises(httpx.TransportError):
            read_into(response, 1)


def test_a_body_that_stalls(scripted: Scripted) -> None:
    """What came of a body that stands still is handed over, and then it is an error of its own kind."""
    scripted.scripts = [[answer(b"abc", length=10)]]
    url = httpx.URL(scripted.origin)
    # Httpx has one limit for the head and for pauses, and a busy server may take its time for the head.
    limits = Limits(PATIENCE, PATIENCE, head=PATIENCE, pause=0.2)
    with closing(PooledTransport(1, ssl.create_default_context(), permits_all)) as transport:
        request = Request(Server.of(url), url.netloc.decode(), "/", {}, limits)
        with closing(drive(transport.request(request))) as stalling:
            response = httpx.Response(200, extensions={BODY: stalling.stream})
            assert read_into(response, 1) == b"a"
            assert read_into(response, 10) == b"bc"
            with pytest.raises(httpx.ReadTimeout):
                read_into(response, 10)


@pytest.mark.parametrize("with_head", [0, 1])
@pytest.mark.parametrize("size", [1, 8192, 65536, 100_000])
def test_a_body_that_pauses(scripted: Scripted, with_head: int, size: int) -> None:
    """What came before a pause, with the head or after it, is handed over at once, and the rest after it."""
    pieces = [b"h" * with_head, *(letter * size for letter in (b"a", b"b", b"c", b"d"))]

    def send(connection: socket.socket) -> None:
        answer(pieces[0], length=sum(map(len, pieces)))(connection)
        for piece in pieces[1:]:
            assert go.acquire(timeout=PATIENCE)
            connection.sendall(piece)
            sent.release()

    go, sent = threading.Semaphore(0), threading.Semaphore(0)
    scripted.scripts = [[send]]
    with connected() as client, client.stream("GET", scripted.origin) as response:
        for number, piece in enumerate(pieces):
            if number:
                go.release()
                assert sent.acquire(timeout=PATIENCE)
            got = b""
            while len(got) < len(piece):
                got += read_into(response, 100_000)
            assert got == piece
        assert read_all(response) == b""


def test_an_answer_that_does_not_come(scripted: Scripted) -> None:
    """A server that says nothing is given up in time."""
    scripted.scripts = [[lambda _: None]]
    with connected() as client, pytest.raises(httpx.ReadTimeout):
        client.get(scripted.origin, timeout=httpx.Timeout(PATIENCE, read=0.1))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
        b"HTTP/1.1 2000\r\n\r\n",
    ],
    ids=["nothing", "blank", "another protocol", "too many headers", "no status"],
)
def test_a_head_that_is_nonsense(scripted: Scripted, head: bytes) -> None:
    """What is no HTTP is an error of the transport, whatever it is."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        hang_up(connection)

    scripted.scripts = [[send]]
    with connected() as client, pytest.raises(httpx.TransportError):
        client.get(scripted.origin)


@pytest.mark.parametrize(
    ("head", "body", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"abcde", hang_up),
    ],
    ids=["chunked", "until the end"],
)
def test_a_body_without_a_length(scripted: Scripted, head: bytes, body: bytes, then: Send | None) -> None:
    """A body in chunks, and one that ends with the connection, are read to their ends."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head + body)
        if then is not None:
            then(connection)

    scripted.scripts = [[send, answer(b"next")], [answer(b"next")]]
    with connected() as client:
        with client.stream("GET", scripted.origin) as response:
            assert read_all(response) == b"abcde"
        assert client.get(scripted.origin).content == b"next"
    assert scripted.connections == (1 if then is None else 2)


def test_refused() -> None:
    """A connection that is refused is an error of its own kind."""
    port = unused_port()
    with connected() as client, pytest.raises(httpx.ConnectError):
        client.get(f"http://127.0.0.1:{port}")


def test_a_name_that_is_no_name() -> None:
    """A host that cannot be looked up is an error of its own kind, and leaves its slot."""
    with connected(1) as client:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                client.get("http://" + "a" * 70 + ".invalid")


def test_a_request_waits_for_a_slot(scripted: Scripted) -> None:
    """No more requests than allowed are under way; one that finds no slot in time is an error."""
    scripted.scripts = [[answer(b"a" * 10)], [answer(b"next")]]
    with connected(1) as client:
        with client.stream("GET", scripted.origin):
            with pytest.raises(httpx.PoolTimeout):
                client.get(scripted.origin, timeout=httpx.Timeout(PATIENCE, pool=0.05))
            assert scripted.connections == 1
        assert client.get(scripted.origin).content == b"next"


def test_close_ends_what_is_idle(scripted: Scripted) -> None:
    """Once the transport is closed, no connection is left open: neither an idle one nor one in use."""
    scripted.scripts = [[answer(b"one"), hang_up], [answer(b"two"), hang_up]]
    transport = PooledTransport(4, ssl.create_default_context(), permits_all)
    with (
        httpx.Client(transport=transport, timeout=PATIENCE, trust_env=False) as client,
        client.stream("GET", scripted.origin) as used,
    ):
        client.get(scripted.origin)
        transport.close()
        assert read_all(used) == b"one"
    scripted.wait_for_ends()


def silence(connection: socket.socket) -> None:
    """Nothing is answered, as where a router has forgotten the connection."""


def lasting(seconds: float) -> Send:
    """An answer that takes its time."""

    def send(connection: socket.socket) -> None:
        threading.Event().wait(seconds)
        answer(b"slow")(connection)

    return send


def test_kept_connections_that_are_forgotten(scripted: Scripted) -> None:
    """One that is silent is given up for a new one in half of the time, and the others with it."""
    scripted.scripts = [[answer(b"one"), silence]] * 2 + [[answer(b"three"), answer(b"four")]]
    with connected() as client:
        with client.stream("GET", scripted.origin) as first, client.stream("GET", scripted.origin) as second:
            assert read_all(first) == read_all(second) == b"one"
        begun = time.monotonic()
        assert client.get(scripted.origin, timeout=1.0).content == b"three"
        assert time.monotonic() - begun < 1
        assert client.get(scripted.origin).content == b"four"
    assert scripted.connections == 3


def test_a_new_connection_that_is_silent_has_all_the_time(scripted: Scripted) -> None:
    """A server that is slow is not asked twice by that."""
    scripted.scripts = [[lasting(0.7)]]
    with connected() as client:
        assert client.get(scripted.origin, timeout=1.0).content == b"slow"
    assert len(scripted.requests) == 1


def test_a_server_that_is_slow_is_not_given_up(scripted: Scripted) -> None:
    """By what it took before, a kept connection has more time."""
    scripted.scripts = [[lasting(0.4), lasting(0.6)]]
    with connected() as client:
        assert [client.get(scripted.origin, timeout=1.0).content for _ in range(2)] == [b"slow"] * 2
    assert len(scripted.requests) == 2
    assert scripted.connections == 1


def test_silence_to_the_end(scripted: Scripted) -> None:
    """Where the new connection is silent, too, the time is over when it would have been."""
    scripted.scripts = [[answer(b"one"), silence], [silence]]
    with connected() as client:
        client.get(scripted.origin)
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            client.get(scripted.origin, timeout=1.0)
        assert 0.9 < time.monotonic() - begun < 3
    assert scripted.connections == 2
