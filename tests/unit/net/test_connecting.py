"""From a name to a connection: addresses side by side, and one question to the resolver."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from empirical_fs.net import connecting
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.connecting import Connector, Place, ResolverSilent, first_connected, in_order
from empirical_fs.server import Server
from tests.support.ports import listening

SOON, PATIENCE = 0.2, 10.0
V4, V6 = socket.AF_INET, socket.AF_INET6


def place(text: str, port: int = 1) -> Place:
    return Place(V6 if ":" in text else V4, socket.SOCK_STREAM, 0, (text, port))


def texts(places: list[Place]) -> list[str]:
    return [each.text for each in places]


def test_families_take_turns() -> None:
    """As RFC 8305 has it: the system's order, and after an address of one family one of the other."""
    found = [place(text) for text in ("2001:db8::1", "2001:db8::2", "2001:db8::1", "192.0.2.1", "192.0.2.2")]
    assert texts(in_order(found)) == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]


def test_what_worked_comes_first() -> None:
    """And what failed last, as long as the name leads there."""
    found = [place(text) for text in ("2001:db8::1", "192.0.2.1", "192.0.2.2")]
    assert texts(in_order(found, first="192.0.2.2")) == ["192.0.2.2", "2001:db8::1", "192.0.2.1"]
    assert texts(in_order(found, last="2001:db8::1")) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert texts(in_order(found, first="192.0.2.9", last="192.0.2.8")) == texts(in_order(found))


@contextmanager
def swallowing(address: str, port: int) -> Iterator[None]:
    """Nothing that is sent to this port is answered: its line is full, and nobody takes from it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            each = socket.socket()
            each.settimeout(0)
            each.connect_ex((address, port))
            waiting.append(each)
        try:
            yield
        finally:
            for each in waiting:
                each.close()


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server at 127.0.0.1; at 127.0.0.2 everything is swallowed."""
    with listening() as listener:
        port: int = listener.getsockname()[1]
        with swallowing("127.0.0.2", port):
            yield port


class Resolver:
    """Says where a name leads; if it is told to wait, not before it is let go."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def find(self, _: str, port: int, **__: Any) -> list[Any]:
        self.asked += 1
        assert self.may_answer.wait(PATIENCE)
        return [(V4, socket.SOCK_STREAM, 0, "", (text, port)) for text in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver("127.0.0.2", "127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", resolver.find)
    yield resolver
    resolver.may_answer.set()


def test_an_address_that_swallows_packets(
    port: int, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is tried beside it after a quarter of a second, and first from then on."""
    connector, server = Connector(permits_all), Server("http", "api.example", port)
    begun = time.monotonic()
    with closing(connector.connect(server, PATIENCE)) as connected, connector.judging(server, "127.0.0.1"):
        assert connected.getpeername()[0] == "127.0.0.1"
    assert 0.2 < time.monotonic() - begun < PATIENCE / 2
    monkeypatch.setattr(connecting, "_ATTEMPT_DELAY", 2 * PATIENCE)
    connector.connect(server, PATIENCE).close()


def test_an_address_that_refuses(port: int, resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is tried at once; where all refuse, that is said."""
    monkeypatch.setattr(connecting, "_ATTEMPT_DELAY", 2 * PATIENCE)
    resolver.addresses = ("127.0.0.3", "127.0.0.1")
    Connector(permits_all).connect(Server("http", "api.example", port), PATIENCE).close()
    resolver.addresses = ("127.0.0.3", "127.0.0.4")
    with pytest.raises(ConnectionRefusedError):
        Connector(permits_all).connect(Server("http", "api.example", port), PATIENCE)


def test_an_address_that_fails_later(port: int, resolver: Resolver) -> None:
    """One that accepts connections and swallows the handshake gives way to the other one."""
    with socket.create_server(("127.0.0.3", port)):
        resolver.addresses = ("127.0.0.3", "127.0.0.1")
        connector, server = Connector(permits_all), Server("https", "api.example", port)
        with closing(connector.connect(server, PATIENCE)) as connected:
            assert connected.getpeername()[0] == "127.0.0.3"
            with pytest.raises(TimeoutError), connector.judging(server, "127.0.0.3"):
                raise TimeoutError
        with closing(connector.connect(server, PATIENCE)) as connected:
            assert connected.getpeername()[0] == "127.0.0.1"


def test_nobody_answers(port: int) -> None:
    """All of the time is waited for, and no longer."""
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        first_connected([place("127.0.0.2", port)], begun + SOON)
    assert SOON <= time.monotonic() - begun < PATIENCE / 2


def test_a_silent_resolver_is_asked_once(port: int, resolver: Resolver) -> None:
    """Each who waits for it waits no longer than it may, and the one question serves all."""
    resolver.may_answer.clear()
    connector, server = Connector(permits_all), Server("http", "api.example", port)
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(ResolverSilent):
            connector.connect(server, SOON)
    assert 2 * SOON <= time.monotonic() - begun < PATIENCE / 2
    assert resolver.asked == 1
    resolver.addresses = ("127.0.0.1",)
    resolver.may_answer.set()
    connector.connect(server, PATIENCE).close()


def test_no_thread_for_the_resolver(port: int, resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then who wants to know asks by itself."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    resolver.addresses = ("127.0.0.1",)
    Connector(permits_all).connect(Server("http", "api.example", port), PATIENCE).close()


def test_a_name_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's own error comes out, for each who asks."""

    def find(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", find)
    connector = Connector(permits_all)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            connector.connect(Server("http", "api.example", 1), PATIENCE)
