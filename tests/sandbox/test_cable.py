"""The cable that tests put between a mount and the sandbox."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.cable import Cable, laid
from tests.support.served import Served, await_true, serving

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def cable() -> Iterator[Cable]:
    with laid() as cable:
        yield cable


@pytest.fixture
def served(cable: Cable, tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    with serving(tmp_path, tmp_path / ".ready", "--public-host", cable.host) as served:
        cable.plug(served.base_url)
        yield served


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5) as client:
        yield client


def test_carries(served: Served, cable: Cable, client: httpx.Client) -> None:
    """What is signed for the cable comes through it, over one connection, and leaves none behind."""
    url = served.url("a.bin")
    assert urlsplit(url).netloc == cable.host
    for _ in range(3):
        assert client.get(url).content == CONTENT
    assert cable.connections == 1
    client.close()
    await_true(lambda: cable.connections == 0)


def test_refuses_and_carries_again(served: Served, cable: Cable, client: httpx.Client) -> None:
    """An unplugged cable resets what there is and refuses what comes, until it is plugged in again."""
    url = served.url("a.bin")
    assert client.get(url).content == CONTENT
    for _ in range(3):
        cable.refuse()
        await_true(lambda: cable.connections == 0)
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                client.get(url)
        cable.plug()
        assert client.get(url).content == CONTENT


def test_cuts(served: Served, cable: Cable) -> None:
    """A cut is a reset for who is connected, and nothing to who comes later."""
    with socket.create_connection(("127.0.0.1", int(cable.host.rpartition(":")[2])), timeout=5) as connection:
        await_true(lambda: cable.connections == 1)
        cable.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert httpx.get(served.url("a.bin")).content == CONTENT


def test_is_dark_and_bright_again(served: Served, cable: Cable, client: httpx.Client) -> None:
    """In the dark connections are made and nothing comes; what was under way comes afterwards."""
    parts = urlsplit(served.url("a.bin"))
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nRange: bytes=0-0\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=0.2) as connection:
        await_true(lambda: cable.connections == 1)
        cable.darken()
        connection.sendall(request.encode())
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with pytest.raises(httpx.ReadTimeout):
            client.get(served.url("a.bin"), timeout=0.3)
        cable.plug()
        connection.settimeout(5)
        assert connection.recv(8) == b"HTTP/1.1"


def test_severs(served: Served, cable: Cable, client: httpx.Client) -> None:
    """A severed connection stays silent for good, and a new one works at once."""
    url = served.url("a.bin")
    assert client.get(url).content == CONTENT
    cable.sever()
    cable.plug()
    with pytest.raises(httpx.ReadTimeout):
        client.get(url, timeout=0.3)
    assert client.get(url).content == CONTENT
