"""The endpoint: whom it serves beside clients that misbehave, and what it leaves behind."""

import errno
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from empirical_fs.errors import SetupError
from empirical_fs.metrics.endpoint import Endpoint
from empirical_fs.settings.values import ListenAddress
from tests.unit.metrics.measured import WITHOUT_CACHE

PORT, SILENT = 9000, 50
_SECONDS = 10.0


@pytest.fixture
def address() -> ListenAddress:
    """An address of this machine that no other test uses."""
    number = os.getpid() % 2**16
    return ListenAddress(f"127.19.{number >> 8}.{number & 255}", PORT)


@pytest.fixture
def endpoint(address: ListenAddress) -> Iterator[Endpoint]:
    endpoint = Endpoint(address)
    endpoint.show(lambda: WITHOUT_CACHE)
    yield endpoint
    endpoint.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def connected(address: ListenAddress) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=_SECONDS)


def scraped(address: ListenAddress) -> str:
    with httpx.Client(trust_env=False, verify=False, timeout=_SECONDS) as client:
        return client.get(f"http://{address}/metrics").raise_for_status().text


def answer_to(address: ListenAddress, request: bytes) -> bytes:
    """The first line of the answer to what is sent."""
    with connected(address) as client:
        client.sendall(request)
        return client.makefile("rb").readline()


@pytest.mark.usefixtures("endpoint")
def test_scrapes(address: ListenAddress) -> None:
    """The metrics, and those of the process, as often as they are asked for."""
    for _ in range(3):
        text = scraped(address)
        assert "empirical_resources 3.0\n" in text
        assert "process_cpu_seconds_total " in text
        assert text.endswith("# EOF\n")


def test_between_two_mounts(endpoint: Endpoint, address: ListenAddress) -> None:
    """Without a mount only the process shows."""
    endpoint.show(None)
    assert "empirical_" not in scraped(address)
    assert "process_cpu_seconds_total " in scraped(address)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n", b"200"),
        (
            b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
            b"405",
        ),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 100_000, b"431"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600 + b"\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\nHost: evil.example\n\n", b"403"),
    ],
    ids=["1.0", "expect", "body", "no-host", "long-line", "long-header", "tls", "other-host"],
)
@pytest.mark.usefixtures("endpoint")
def test_requests_of_all_kinds(address: ListenAddress, request_: bytes, status: bytes) -> None:
    """Each is answered, whole: what the client still sends does not take the answer back."""
    assert answer_to(address, request_).split()[1] == status


@pytest.mark.usefixtures("endpoint")
def test_clients_that_never_ask_hold_up_nobody(address: ListenAddress) -> None:
    """However many there are, the thread is one, the connections few, and a scrape is answered."""
    before = descriptors()
    with ExitStack() as clients:
        for number in range(SILENT):
            silent = clients.enter_context(connected(address))
            if number % 2:
                silent.sendall(b"GET /metrics HT")
        assert "empirical_resources" in scraped(address)
        # Both ends are in this process.
        assert descriptors() <= before + SILENT + 32 + 2


def test_a_client_that_never_asks_is_hung_up_on(address: ListenAddress) -> None:
    """Once its time is over; the clock is the test's."""
    now = 100.0
    endpoint = Endpoint(address, lambda: now)
    try:
        with connected(address) as silent:
            scraped(address)  # by then, the other was accepted
            now += 6
            scraped(address)
            assert silent.recv(1) == b""
    finally:
        endpoint.close()


def test_its_end(address: ListenAddress) -> None:
    """The port is free at once, though clients hold connections, and every descriptor is given back."""
    before = descriptors()
    for _ in range(3):
        endpoint = Endpoint(address)
        with connected(address) as silent:
            scraped(address)
            begun = time.monotonic()
            endpoint.close()
            assert time.monotonic() - begun < 2
            with pytest.raises(ConnectionRefusedError):
                connected(address)
            assert silent.recv(1) == b""
    assert descriptors() == before


@pytest.mark.usefixtures("endpoint")
def test_no_descriptor_for_a_while(address: ListenAddress) -> None:
    """Whoever connects meanwhile is answered once there is one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.settimeout(_SECONDS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, before[1]))
        try:
            client.connect((address.host, address.port))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                os.open("/dev/null", os.O_RDONLY)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.usefixtures("endpoint")
def test_a_port_in_use(address: ListenAddress) -> None:
    before = descriptors()
    with pytest.raises(SetupError, match=f"{address}: the port is in use; give another one"):
        Endpoint(address)
    assert descriptors() == before


def test_an_address_of_another_machine() -> None:
    with pytest.raises(SetupError, match="does not have that address"):
        Endpoint(ListenAddress("192.0.2.1", PORT))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6() -> None:
    """The address in brackets is that of the URL."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
    endpoint = Endpoint(ListenAddress("::1", port))
    try:
        assert "process_" in scraped(ListenAddress("::1", port))
    finally:
        endpoint.close()
