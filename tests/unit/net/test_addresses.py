"""Where a connection may lead: the address counts, and no name."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import StoreUnavailable, UnsafeUrl
from empirical_fs.net.addresses import Permit, is_here, is_local, permits_all, permits_no_local
from empirical_fs.net.client import Http
from empirical_fs.net.connecting import Connector
from empirical_fs.net.proxies import Proxies
from empirical_fs.reading.fetch.object_store import Asked, Store
from empirical_fs.server import Server
from empirical_fs.work.waits import drive
from tests.support.common import common
from tests.support.ports import listening

HERE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
LINK = ["169.254.169.254", "fe80::1", "fe80::1%2", "febf::1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::"]
ELSEWHERE = [
    "192.0.2.1",
    "10.0.0.1",
    "128.0.0.1",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "fd00::1",
    "64:ff9b::c000:201",
]


@pytest.mark.parametrize("text", HERE + LINK + ELSEWHERE)
def test_what_is_near(text: str) -> None:
    """This machine and its links, in each form in which an address may be written, and nothing else."""
    address = ip_address(text)
    assert (is_here(address), is_local(address)) == (text in HERE, text not in ELSEWHERE)
    assert permits_no_local("https", address) == (text in ELSEWHERE)
    assert permits_all("https", address)
    # Plain http is for this machine, whatever it is called.
    assert permits_all("http", address) == (text in HERE)
    assert not permits_no_local("http", address)


def connect(scheme: str, host: str, port: int, seconds: float, permit: Permit) -> socket.socket:
    return Connector(permit).connect(Server(scheme, host, port), seconds)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listening() as listener:
        listener.settimeout(0)
        yield listener


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names, and the addresses that they lead to."""
    names = dict[str, list[str]]()
    resolve = socket.getaddrinfo

    def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        addresses = names.get(host, [host])
        return [each for text in addresses for each in resolve(text, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return names


def test_only_what_is_permitted_is_connected_to(listener: socket.socket, names: dict[str, list[str]]) -> None:
    """Of several addresses those that are not permitted are passed over; without others, nobody is asked."""
    port = listener.getsockname()[1]
    names["both.example"] = ["::1", "127.0.0.1"]
    with closing(connect("https", "both.example", port, 5, lambda _, address: address.version == 4)):
        listener.accept()[0].close()
    for host in ("both.example", "127.1"):
        with pytest.raises(UnsafeUrl):
            connect("https", host, port, 5, permits_no_local)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_localhost_that_is_elsewhere(names: dict[str, list[str]]) -> None:
    """Plain http, and the key with it, goes to this machine alone, whatever a resolver says of localhost."""
    names["localhost"] = ["192.0.2.1"]
    with pytest.raises(UnsafeUrl, match="plain http"):
        connect("http", "localhost", 80, 5, permits_all)


@contextmanager
def store(api: str, *, is_api_here: bool = False) -> Iterator[Store]:
    store = Store(httpx.URL(api), common(5), lambda: is_api_here)
    yield store
    store.close()


def get(store: Store, url: str) -> None:
    drive(store.get(url, Asked(1, 0, 1, 1), Deadline.after(5), Cancellation()))


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_a_store_whose_name_leads_here(
    listener: socket.socket, names: dict[str, list[str]], address: str
) -> None:
    """An API on the network cannot send us to this machine by a name either."""
    names["store.example"] = [address]
    with store("https://api.example") as far, pytest.raises(UnsafeUrl):
        get(far, f"https://store.example:{listener.getsockname()[1]}/o")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_an_api_that_is_here_by_another_name(listener: socket.socket, names: dict[str, list[str]]) -> None:
    """An API that was reached on this machine may send us to this machine."""
    names["store.example"] = ["127.0.0.1"]
    url = f"https://store.example:{listener.getsockname()[1]}/o"
    listener.settimeout(10)

    def hang_up() -> None:
        listener.accept()[0].close()

    for api, is_api_here in (("http://127.0.0.1:9", False), ("https://api.example", True)):
        # It hangs up on the handshake of TLS.
        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        with store(api, is_api_here=is_api_here) as near, pytest.raises(StoreUnavailable):
            get(near, url)
        hanging_up.join()


def test_a_host_that_needs_no_proxy(
    listener: socket.socket, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes past the proxy is looked at like everything else."""
    names["store.example"] = ["127.0.0.1"]
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", ".example")
    with store("https://api.example") as far, pytest.raises(UnsafeUrl):
        get(far, f"https://store.example:{listener.getsockname()[1]}/o")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_who_is_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment says, with and without a scheme, and past it for some."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def is_proxied(url: str) -> bool:
        return Proxies().of(httpx.URL(url)) is not None

    assert not is_proxied("https://x.org")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert is_proxied("https://x.org")
    assert not is_proxied("http://x.org")
    monkeypatch.setenv("ALL_PROXY", "http://user:password@proxy.example:3128")
    assert is_proxied("http://x.org")
    monkeypatch.setenv("NO_PROXY", "x.org, other.org")
    assert not any(map(is_proxied, ("https://x.org", "https://a.x.org", "http://x.org:80")))
    assert is_proxied("https://ax.org")
    monkeypatch.setenv("NO_PROXY", "fe80::/10,10.0.0.0/8,::1,*.z.org,w.org:8443")
    direct = (
        "https://[fe80::1]",
        "https://10.1.2.3",
        "https://[::1]:8443",
        "https://a.z.org",
        "https://w.org:8443",
    )
    assert not any(map(is_proxied, direct))
    assert all(map(is_proxied, ("https://11.1.2.3", "https://[fd00::1]", "https://z.org", "https://w.org")))
    monkeypatch.setenv("NO_PROXY", "*")
    assert not is_proxied("https://y.org")


def test_a_proxy_on_this_machine(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be anywhere, and is sent the name that it is to connect to."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)
    asked = list[bytes]()

    def refuse() -> None:
        listener.settimeout(10)
        with listener.accept()[0] as connection:
            asked.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    refusing = threading.Thread(target=refuse)
    refusing.start()
    http = Http(2, StoreUnavailable, common(5), permit=permits_no_local)
    with pytest.raises(StoreUnavailable):
        http.get(httpx.URL("https://store.example/secret"), {}, Deadline.after(5))
    refusing.join()
    http.close()
    assert asked[0].startswith(b"CONNECT store.example:443 ")
    assert b"secret" not in asked[0]
    assert not http.is_here
