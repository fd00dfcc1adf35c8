"""The transport through proxies of each kind: everything is as without one."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import StoreUnavailable
from empirical_fs.net.addresses import permits_all, permits_no_local
from empirical_fs.net.certificates import create_context
from empirical_fs.net.client import Common, Http
from empirical_fs.net.http11 import CANCELLATION, PROXY, PooledTransport
from empirical_fs.net.network_failures import described
from empirical_fs.net.proxies import Proxies, Proxy
from empirical_fs.net.tunnels import ProxyRefused, tunnel
from empirical_fs.server import Server
from empirical_fs.work.waits import drive
from tests.support import nginx
from tests.support.harness import noise, wait_until
from tests.support.small_proxies import PASSWORD, USER, HttpProxy, Socks, basic
from tests.support.wire import SPOILT, Listening, Send, sending
from tests.unit.net.test_http11 import Encrypted, Scripted, answer, read_all, silence

PATIENCE = 10.0
AT_ONCE = 3.0
BODY = noise(1_500_000)
WAYS = ("http", "https", "socks5")
PARTIAL = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 1000


class Named(Encrypted):
    """A server over TLS that is called store.example, which no resolver knows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "DNS:store.example,IP:127.0.0.1")
        self.context = self._context
        self.named = self.origin.replace("127.0.0.1", "store.example")
        self.server = Server("https", "store.example", int(self.origin.rpartition(":")[2]))


@dataclass
class World:
    """A server, a proxy before it, and our way through that."""

    server: Named
    proxying: HttpProxy | Socks
    proxy: Proxy
    transport: PooledTransport
    client: httpx.Client

    def stream(
        self, path: str = "/o", cancellation: Cancellation | None = None
    ) -> AbstractContextManager[httpx.Response]:
        asked = extensions(self.proxy, cancellation=cancellation, target=f"/./signed{path}".encode())
        return self.client.stream("GET", self.server.named + path, extensions=asked)

    def get(self, path: str = "/o") -> bytes:
        with self.stream(path) as response:
            return read_all(response, 100_000)

    def asked(self) -> int:
        """How often the proxy was told to connect."""
        return len(self.proxying.heads if isinstance(self.proxying, HttpProxy) else self.proxying.asked)


def extensions(
    proxy: Proxy | None,
    seconds: float = PATIENCE,
    cancellation: Cancellation | None = None,
    target: bytes | None = None,
) -> dict[str, Any]:
    given = {PROXY: proxy, CANCELLATION: cancellation}
    return {"timeout": httpx.Timeout(seconds).as_dict(), **given, **({"target": target} if target else {})}


def named_by(monkeypatch: pytest.MonkeyPatch, origin: str, url: str) -> Proxy:
    """The proxy for `url` where the environment names one, with a user and a password."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    credentials = f"{USER}:{quote(PASSWORD)}"
    monkeypatch.setenv("ALL_PROXY", origin.replace("://", f"://{credentials}@"))
    found = Proxies().of(httpx.URL(url))
    assert found is not None
    return found


@contextmanager
def world(
    way: str, folder: Path, monkeypatch: pytest.MonkeyPatch, scripts: list[list[Send]]
) -> Iterator[World]:
    with ExitStack() as stack:
        server = stack.enter_context(closing(Named(folder)))
        server.scripts = scripts
        proxying: HttpProxy | Socks
        if way == "socks5":
            proxying = stack.enter_context(closing(Socks(server.server.port, wants_name=True)))
            origin = proxying.origin.replace("http", "socks5")
        else:
            encryption = server.context if way == "https" else None
            proxying = stack.enter_context(closing(HttpProxy(server.origin, encryption)))
            origin = proxying.origin
        proxy = named_by(monkeypatch, origin, server.named)
        # The proxy is on this machine, where no server may be.
        transport = PooledTransport(4, server.trusted, permits_no_local)
        client = stack.enter_context(httpx.Client(transport=transport, trust_env=False))
        yield World(server, proxying, proxy, transport, client)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_tunnel_is_used_again(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is told the server's name, and nothing else; then it carries one request after the other."""
    bodies = [b"one", BODY, b"", b"four"]
    with world(way, tmp_path, monkeypatch, [[answer(body) for body in bodies]]) as it:
        assert [it.get() for _ in bodies] == bodies
        assert it.asked() == it.server.connections == it.proxying.connections == 1
        assert not it.transport.is_here
    assert all(request.startswith(b"GET /./signed/o HTTP/1.1\r\n") for request in it.server.requests)
    assert all(b"Proxy-" not in request for request in it.server.requests)
    if isinstance(it.proxying, HttpProxy):
        port = it.server.server.port
        assert it.proxying.heads[0].splitlines() == [
            b"CONNECT store.example:%d HTTP/1.1" % port,
            b"Host: store.example:%d" % port,
            b"Proxy-Authorization: " + basic(),
            b"",
        ]
    else:
        assert it.proxying.asked == [b"store.example"]


def test_plain_http_in_absolute_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of HTTP is asked for the whole URL, byte for byte, and knows the user; it is kept."""
    server = Scripted()
    server.scripts = [[answer(b"one"), answer(b"two")]]
    with closing(server), closing(HttpProxy(server.origin)) as proxying:
        proxy = named_by(monkeypatch, proxying.origin, "http://store.example/")
        transport = PooledTransport(4, ssl.create_default_context(), permits_no_local)
        with httpx.Client(transport=transport, trust_env=False) as client:
            for body in (b"one", b"two"):
                asked = extensions(proxy, target=b"/a/../b?c=%2f")
                assert client.get("http://store.example/b", extensions=asked).content == body
        assert proxying.connections == 1
    for request in server.requests:
        line, *fields = request.splitlines()
        assert line == b"GET http://store.example/a/../b?c=%2f HTTP/1.1"
        assert b"Host: store.example" in fields
        assert b"Proxy-Authorization: " + basic() in fields


def test_connections_are_kept_for_each_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made through a proxy is not taken for what is asked directly, nor for another server."""
    scripts = [[answer(b"1"), answer(b"4")], [answer(b"2")], [answer(b"3")]]
    with world("http", tmp_path, monkeypatch, scripts) as it:
        transport = PooledTransport(4, it.server.trusted, permits_all)
        with httpx.Client(transport=transport, trust_env=False) as client:
            asked = extensions(it.proxy)
            assert client.get(it.server.named, extensions=asked).content == b"1"
            assert client.get(it.server.origin, extensions=asked).content == b"2"
            assert client.get(it.server.origin, extensions=extensions(None)).content == b"3"
            assert transport.is_here
            assert client.get(it.server.named, extensions=asked).content == b"4"
        assert it.server.connections == 3
        assert it.asked() == 2


def test_a_body_that_stalls(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come is handed on at once; the rest is given up when it has stalled for long."""
    stall: list[Send] = [sending(PARTIAL), silence]
    with world(way, tmp_path, monkeypatch, [stall, [answer(b"again")]]) as it:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.authority(tmp_path)))
        http = Http(
            2, StoreUnavailable, Common(create_context(), threading.Event(), 4 * 0.3), permit=permits_no_local
        )
        with closing(http):
            url = httpx.URL(it.server.named)
            response = http.get(url, {}, Deadline.after(PATIENCE))
            body, view = http.body(response), memoryview(bytearray(5000))
            received = body.read_into(view)
            with pytest.raises(StoreUnavailable, match=r"store\.example did not answer in time"):
                body.read_into(view[received:])
            assert view[:received] == b"a" * received
            response.close()
            response = http.get(url, {}, Deadline.after(PATIENCE))
            assert http.body(response).read_into(view) == 5
            response.close()
            assert not http.is_here
        assert it.asked() == 2


def test_a_cancelled_body(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at once, and so does the connection at the far end."""
    stall: list[Send] = [sending(PARTIAL), silence]
    with world(way, tmp_path, monkeypatch, [stall]) as it:
        cancellation = Cancellation()
        begun = time.monotonic()
        with it.stream(cancellation=cancellation) as response:
            cancelling = threading.Timer(0.2, cancellation.cancel)
            cancelling.start()
            with pytest.raises(httpx.TransportError):
                read_all(response)
            cancelling.join()
        assert time.monotonic() - begun < AT_ONCE
        it.server.wait_for_ends()


class Silent(Listening):
    """Accepts connections, and answers nothing."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        while connection.recv(1000):
            self.asked.set()


@pytest.mark.parametrize("way", ["http", "https", "socks5"])
def test_a_proxy_that_is_silent(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has as long as a connection has; or until nobody wants the answer."""
    with closing(Silent()) as proxying:
        proxy = named_by(monkeypatch, proxying.origin.replace("http", way), "https://store.example/")
        transport = PooledTransport(1, ssl.create_default_context(), permits_no_local)
        with httpx.Client(transport=transport, trust_env=False) as client:
            with pytest.raises(httpx.TransportError) as caught:
                client.get("https://store.example/", extensions=extensions(proxy, 0.2))
            told = str(described(caught.value, Server("https", "store.example", 443), proxy))
            assert told.startswith(f"the proxy {proxy.place} ")
            cancellation = Cancellation()
            proxying.asked.clear()

            def cancel() -> None:
                proxying.asked.wait(PATIENCE)
                cancellation.cancel()

            cancelling = threading.Thread(target=cancel)
            cancelling.start()
            begun = time.monotonic()
            asked = extensions(proxy, 3 * PATIENCE, cancellation)
            with pytest.raises(httpx.TransportError):
                client.get("https://store.example/", extensions=asked)
            assert time.monotonic() - begun < PATIENCE
            cancelling.join()
        proxying.wait_for_ends()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno.",
            "does not connect to store.example (HTTP 403)",
        ),
        (b"HTTP/1.1 302 Found\r\n\r\n", "does not connect to store.example (HTTP 302)"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "(more came than its answer)",
        ),
        (b"SSH-2.0-x\r\n", "does not connect to store.example (what it answers is not HTTP)"),
        (b"\x16\x03\x01\x00\xff" + b"\0" * 300, "it speaks TLS, and was asked in plain http"),
    ],
)
def test_a_proxy_that_does_not_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: bytes, words: str
) -> None:
    """It is named with its reason, nothing is sent to it as to the server, and no connection is kept."""
    with world("http", tmp_path, monkeypatch, []) as it:
        assert isinstance(it.proxying, HttpProxy)
        it.proxying.refusal = refusal
        for _ in range(2):
            with pytest.raises(ProxyRefused) as caught:
                it.get("/secret")
            assert words in str(described(caught.value, it.server.server, it.proxy))
        assert it.proxying.connections == 2
        it.proxying.wait_for_ends()
    assert not any(b"secret" in head for head in it.proxying.heads)


def test_a_proxy_of_socks_that_does_not_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with its reason, and what it is to know."""
    with world("socks5", tmp_path, monkeypatch, []) as it:
        assert isinstance(it.proxying, Socks)

        def told(url: str, proxy: Proxy) -> str:
            with pytest.raises(ProxyRefused) as caught:
                it.client.get(url, extensions=extensions(proxy))
            return str(described(caught.value, it.server.server, proxy))

        it.proxying.code = 4
        assert "does not connect to store.example (host unreachable)" in told(it.server.named, it.proxy)
        it.proxying.code = 99
        assert "(what it answers is not SOCKS5)" in told(it.server.named, it.proxy)
        assert "(its name is too long)" in told(f"https://{'a.' * 200}example/", it.proxy)
        place = it.proxy.place
        nobody = Proxy(it.proxy.server, place, "ALL_PROXY")
        wrong = Proxy(it.proxy.server, place, "ALL_PROXY", USER, "other")
        for proxy in (nobody, wrong):
            text = told(it.server.named, proxy)
            assert f"the proxy {place} wants another user name or password" in text
            assert f"write socks5://USER:PASSWORD@{place} into ALL_PROXY" in text


def test_the_certificate_of_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not trusted is told as the proxy's; the server's behind a proxy as the server's."""
    with world("https", tmp_path, monkeypatch, [[answer(b"")]]) as it:
        untrusting = PooledTransport(1, ssl.create_default_context(), permits_no_local)
        with (
            httpx.Client(transport=untrusting, trust_env=False) as client,
            pytest.raises(httpx.ConnectError) as caught,
        ):
            client.get(it.server.named, extensions=extensions(it.proxy))
        assert "the certificate of 127.0.0.1 is not trusted" in str(
            described(caught.value, it.server.server, it.proxy)
        )
        other = it.server.named.replace("store", "other")
        with pytest.raises(httpx.ConnectError) as caught:
            it.client.get(other, extensions=extensions(it.proxy))
        server = Server("https", "other.example", 443)
        assert "answers as other.example has a certificate for another name" in str(
            described(caught.value, server, it.proxy)
        )
        assert not it.server.requests


@given(
    way=st.sampled_from(["http", "socks5"]), said=SPOILT | st.binary(max_size=40).map(b"\x05\x00\x05".__add__)
)
def test_whatever_a_proxy_says(way: str, said: bytes) -> None:
    """It has connected, or it is told why not, at once."""
    proxy = Proxy(Server(way, "127.0.0.1", 1), "127.0.0.1:1", "ALL_PROXY")
    ours, its = socket.socketpair()
    with ours, its:
        its.settimeout(0)
        its.send(said)
        its.shutdown(socket.SHUT_WR)
        with suppress(ProxyRefused):
            drive(tunnel(ours, proxy, Server("https", "store.example", 443), time.monotonic() + PATIENCE))


def test_nothing_is_left_open(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a connection nor a descriptor, of tunnels that were kept and of those that failed."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with world(way, tmp_path, monkeypatch, [[answer(b"one")], []]) as it:
        assert it.get() == b"one"
        with pytest.raises(httpx.ConnectError):
            it.client.get(it.server.named.replace("store", "other"), extensions=extensions(it.proxy))
    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before, "all descriptors closed")
