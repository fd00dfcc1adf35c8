"""A server that sends whatever it is told, and what a broken one may send, made by mutating right answers."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat

import httpx
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, StoreUnavailable
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.client import Http
from tests.support.common import common
from tests.support.ports import listening

PATIENCE = 0.4
"""Seconds; a fourth of it is how long a body may pause."""
SOON, IN_TIME, TOO_LONG = 0.1, 10.0, 5.0
ENOUGH = 2**20
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
AGAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"

Kind = type[ApiUnavailable] | type[StoreUnavailable]
Send = Callable[[socket.socket], None]


class Listening(ABC):
    """Accepts connections, and serves each in a thread of its own."""

    def __init__(self) -> None:
        self.connections = 0
        self._listener = listening()
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._serving: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @abstractmethod
    def serve(self, connection: socket.socket, number: int) -> None:
        """Answer what comes by the connection with this number, from 0."""

    def wait_for_ends(self) -> None:
        """Wait until every connection was answered, or closed by the client."""
        for thread in self._serving:
            thread.join(IN_TIME)
            assert not thread.is_alive()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection in self._open:
            hang_up(connection)
        self.wait_for_ends()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection, self.connections))
            self.connections += 1
            self._serving.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(ConnectionError):  # the client may leave at any moment
            self.serve(connection, number)


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have been faster
        connection.shutdown(socket.SHUT_RDWR)


class Wire(Listening):
    """A server whose first connection misbehaves and whose others answer `good` always."""

    def __init__(self, first: Send, then: bytes | None) -> None:
        """Answer the first request with `first`, and later ones on its connection with `then` or its end."""
        self.first_ended = threading.Event()
        self._first = first
        self._then = then
        super().__init__()
        self.url = httpx.URL(f"{self.origin}/o")

    def serve(self, connection: socket.socket, number: int) -> None:
        sends: Iterator[Send] = repeat(sending(GOOD))
        if number == 0:
            sends = iter([self._first] + ([sending(self._then)] if self._then is not None else []))
        with suppress(OSError), connection.makefile("rb") as lines:  # OSError: the client has left
            for send in sends:
                while (line := lines.readline()) != b"\r\n":
                    if not line:
                        break
                send(connection)
        hang_up(connection)
        self.first_ended.set()


def sending(data: bytes) -> Send:
    return lambda connection: connection.sendall(data)


def flooding(beginning: bytes, flood: bytes) -> Send:
    """Sends `flood` over and over, as fast as it goes, until the client leaves."""

    def send(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(flood)

    return send


def dripping(beginning: bytes, drip: bytes) -> Send:
    """Sends a byte each time that a client which waits for the next one may have become impatient."""

    def send(connection: socket.socket) -> None:
        connection.sendall(beginning)
        for number in range(10_000):
            connection.sendall(drip[number % len(drip) :][:1])
            connection.settimeout(SOON / 10)
            with suppress(TimeoutError):
                if not connection.recv(1):  # nothing comes but the client's leaving
                    return

    return send


@contextmanager
def talking(first: Send, then: bytes | None, kind: Kind = StoreUnavailable) -> Iterator[tuple[Wire, Http]]:
    wire, http = (
        Wire(first, then),
        Http(2, kind, common(PATIENCE), permit=permits_all),
    )
    try:
        yield wire, http
    finally:
        http.close()
        wire.close()


def read(wire: Wire, http: Http, patience: float) -> tuple[int, bytes]:
    """The status and the body, or as much of it as can be enough for a test."""
    response = http.get(wire.url, {}, Deadline.after(patience))
    try:
        body, piece, read_into = bytearray(), memoryview(bytearray(2**16)), http.body(response).read_into
        while (count := read_into(piece)) and len(body) < ENOUGH:
            assert count <= len(piece)
            body += piece[:count]
        return response.status_code, bytes(body)
    finally:
        response.close()


LINES = [b"HTTP/1.1 200 OK"] * 6
LINES += [b"HTTP/1.1 206 Partial Content", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No", b"HTTP/1.1 304 Not"]
LINES += [b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 101 Switching", b"HTTP/1.1 999 ?"]
LINES += [
    b"HTTP/1.1 099 ?",
    b"HTTP/1.1 +200 OK",
    b"HTTP/1.1 2_0_0 OK",
    b"HTTP/1.1 \xb2\xb2\xb2",
    b"HTTP/1.1 200",
]
LINES += [
    b"HTTP/1.1",
    b"HTTP/2 200 OK",
    b"HTTP/9.9 200 OK",
    b"ICY 200 OK",
    b"",
    b"\0",
    b"HTTP/1.1 200 " + b"x" * 70_000,
]
LINES += [b"HTTP/1.1 500 \xff\r\x0b", b"GET / HTTP/1.1", b"HTTP/1.1 302 Found"]
LENGTHS = [b"5"] * 6 + [
    b"0",
    b"4",
    b"6",
    b"-5",
    b"+5",
    b"5_0",
    b" 5 ",
    b"5,5",
    b"05",
    b"0x5",
    b"",
    b"9" * 19,
    b"9" * 5000,
]
LENGTHS += [b"\xb2", b"5\0", b"5\r\n 0", b"5.0", b"1e9"]
HEADERS = [
    b"Content-Type: text/plain",
    b'ETag: "v1"',
    b"Connection: close",
    b"Connection: keep-alive",
    b": empty",
]
HEADERS += [
    b'Content-Disposition: attachment; filename="\xe9"',
    b"X-Raw: \xff\xfe\x80",
    b"X: \0",
    b"no colon",
    b" folded",
]
HEADERS += [
    b"Content-Type: multipart/mixed; boundary*=x; boundary*0=y",
    b"Content-Type: message/rfc822",
    b"\x85: \x85",
]
HEADERS += [
    b"Content-Type: multipart/mixed; boundary*=\0'x'y",
    b"Content-Type: multipart/mixed; boundary*=utf-9'x'%ff",
]
HEADERS += [
    b'Content-Type: multipart/mixed; boundary="',
    b"Content-Type: message/delivery-status",
    b"X: \r",
    b"X : y",
]
HEADERS += [
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
]
HEADERS += [
    b"Retry-After: " + b"9" * 400,
    b"Location: https://xn--/",
    b"Date: x",
    b"a:" + b"b" * 66_000,
    b"\n".join([b"a: b"] * 110),
]
BODIES = [b"hello"] * 4 + [
    b"",
    b"hell",
    b"hello!",
    b"x" * 9000,
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;x=y\r\nhello\r\n0\r\nT: z\r\n\r\n",
]
BODIES += [
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\nhello\r\n0\r\n\r\n",
    b"F" * 16 + b"\r\nhello",
    b"5\r\nhello\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5",
]
BODIES += [
    b"F" * 5000 + b"\r\nhello",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n-1\r\nx",
    b"0\r\n" + b"t: u\r\n" * 300,
    b"0\r\n" + b"t" * 66_000,
    EVIL,
]
ENDS = [b"\r\n"] * 6 + [b"\n", b"\r", b"\0"]

RESPONSES = st.builds(
    lambda line, lengths, headers, end, body: (
        b"".join(
            part + end
            for part in (line, *(b"Content-Length: " + length for length in lengths), *headers, b"")
        )
        + body
    ),
    st.sampled_from(LINES),
    st.lists(st.sampled_from(LENGTHS), max_size=2) | st.just([b"5"]),
    st.lists(st.sampled_from(HEADERS), max_size=2),
    st.sampled_from(ENDS),
    st.sampled_from(BODIES),
)
SPOILT = (
    RESPONSES
    | st.binary(max_size=60)
    | st.builds(
        lambda data, at, junk, cut: data[: at % (len(data) + 1)] + junk + data[at % (len(data) + 1) + cut :],
        RESPONSES,
        st.integers(0, 120),
        st.binary(max_size=3),
        st.integers(0, 3) | st.just(1000),
    )
)
