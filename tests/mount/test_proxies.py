"""A mount whose API and store are behind a real proxy: what holds without one holds."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from empirical_fs.clock import Deadline
from empirical_fs.errors import StoreUnavailable
from empirical_fs.net.addresses import permits_no_local
from empirical_fs.net.client import Http
from tests.support import nginx
from tests.support.cable import Cable, laid
from tests.support.common import common
from tests.support.harness import (
    KEY,
    PATIENCE,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mounted,
    noise,
    said,
    serving,
    wait_until,
)
from tests.support.ports import unused_port
from tests.support.tinyproxy import ONLY_ROOT, TinyProxy, forwarding

pytestmark = ONLY_ROOT

API, STORE, SHORT = "api.example", "store.example", "127.1"
"""Names that only the proxy knows; and one for this machine that is not taken for it."""
CONTENT = noise(12_000_000)
SMALL = {f"{number:02}.txt": noise(3000, number) for number in range(30)}
ALL_CONNECTIONS = 40
"""More than a mount has open at once, to both of them."""


@dataclass
class World:
    """A project that is reached by https alone, and by its names through a proxy alone."""

    folder: Path
    sandbox: Sandbox
    cable: Cable
    proxy: TinyProxy

    @property
    def port(self) -> str:
        return self.cable.url.rpartition(":")[2]

    def url(self, host: str = API) -> str:
        return f"https://{host}:{self.port}"

    def variables(self, **more: str) -> dict[str, str | None]:
        trusted = {"SSL_CERT_FILE": str(nginx.authority(self.folder)), "SSL_CERT_DIR": None}
        return {**trusted, "HTTPS_PROXY": self.proxy.url(), **more}

    def mount(self, *options: str) -> AbstractContextManager[Mounted]:
        return mounted(self.folder / "mnt", self.url(), *options, variables=self.variables())

    def failure(self, **variables: str) -> str:
        """What a mount says that must fail."""
        wanted = environment(EMPIRICALRUN_KEY=KEY, **self.variables(**variables))
        command = ("--api-url", self.url(), "--timeout", "10", self.folder / "mnt")
        return said(empirical_mount(*command, env=wanted, check=False))


@contextmanager
def world(folder: Path, directives: str = "") -> Iterator[World]:
    nginx.make_certificate(folder, f"DNS:{API},DNS:{STORE},DNS:{SHORT}")
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(folder / "server.pem", folder / "server.key")
    with ExitStack() as stack:
        cable = stack.enter_context(laid(encryption))
        public = ("--public-host", cable.url.replace("127.0.0.1", STORE))
        sandbox = stack.enter_context(serving(folder / "project", folder / "sandbox-url", *public))
        cable.plug(sandbox.url)
        proxy = stack.enter_context(forwarding(folder / "proxy", API, STORE, directives=directives))
        sandbox.put("a.bin", CONTENT)
        yield World(folder, sandbox, cable, proxy)


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as it:
        yield it


def test_reading(proxied: World) -> None:
    """All that goes to the API and to the store goes through the proxy, over few connections that are kept.

    A reader in sequence has several requests under way at once, of bytes that are sent once.
    """
    for name, content in SMALL.items():
        proxied.sandbox.put(name, content)
    proxied.sandbox.plan(store_latency_s=0.05)
    with proxied.mount() as mount:
        assert (mount / "a.bin").read_bytes() == CONTENT
        requests = proxied.sandbox.requests()
        assert requests["in_flight_peak"]["store"] > 1
        assert sum(stop - start for start, stop in proxied.sandbox.spans()) < 1.1 * len(CONTENT)
        for name, content in SMALL.items():
            assert (mount / name).read_bytes() == content
        connects = proxied.proxy.asked()
    assert set(connects) == {("CONNECT", f"{host}:{proxied.port}") for host in (API, STORE)}
    assert len(connects) < min(ALL_CONNECTIONS, proxied.sandbox.requests()["object"])


def test_a_body_that_stalls(proxied: World) -> None:
    """The rest is asked for again, and the reader has all of it in time."""
    action = {"type": "stall", "after": 60_000, "seconds": 600}
    proxied.sandbox.plan(faults=[{"on": "object", "times": 1, "action": action}])
    with proxied.mount("--timeout", "8") as mount:
        assert (mount / "a.bin").read_bytes() == CONTENT


def test_a_reader_that_is_killed(proxied: World) -> None:
    """Its request ends at once, all the way to the store."""
    proxied.sandbox.plan(
        faults=[{"on": "object", "action": {"type": "stall", "after": 1000, "seconds": 600}}]
    )
    with proxied.mount("--timeout", "120") as mount:
        with subprocess.Popen(["cat", mount / "a.bin"], stdout=subprocess.DEVNULL) as reader:
            wait_until(lambda: proxied.sandbox.requests()["object"], "the request")
            during = proxied.cable.connections
            reader.kill()
            reader.wait(PATIENCE)
        # Nobody else would end it: a body may stall for five seconds, and is asked for again then.
        wait_until(lambda: proxied.cable.connections < during, "the end of the request at the far end", 4)
        proxied.sandbox.plan()
        proxied.sandbox.forget_requests()
        assert (mount / "a.bin").read_bytes() == CONTENT
        assert 4096 not in {stop - start for start, stop in proxied.sandbox.spans()}


def test_who_wants_a_password(tmp_path: Path) -> None:
    """One that is right is enough; without one, or with another, the proxy is named, and no password is."""
    with world(tmp_path, "BasicAuth me secret") as it:
        # tinyproxy says 401 where others say 407 again.
        for credentials, status in (("", 407), ("me:guessed@", 401)):
            told = it.failure(HTTPS_PROXY=it.proxy.url(credentials))
            assert f"the proxy {it.proxy.place} wants another user name or password (HTTP {status})" in told
            assert "HTTPS_PROXY" in told
            assert "guessed" not in told
        variables = it.variables(HTTPS_PROXY=it.proxy.url("me:secret@"))
        with mounted(tmp_path / "mnt", it.url(), "-vv", variables=variables) as mount:
            assert (mount / "a.bin").read_bytes() == CONTENT
            assert not any("secret" in line for line in mount.log_lines())


def test_a_proxy_that_is_not_there(proxied: World) -> None:
    """It is named where it cannot be reached; and so is what it does not reach."""
    place = f"127.0.0.1:{unused_port()}"
    told = proxied.failure(HTTPS_PROXY=f"http://{place}")
    assert f"the proxy {place} cannot be reached; check HTTPS_PROXY" in told
    proxied.cable.refuse()
    told = proxied.failure()
    assert f"the proxy {proxied.proxy.place} does not connect to {API} (HTTP 500)" in told


def test_who_is_asked_without_the_proxy(proxied: World) -> None:
    """Hosts that NO_PROXY names, while it would be in the way of others."""
    variables = proxied.variables(NO_PROXY=f"x.example,{SHORT}")
    with mounted(proxied.folder / "mnt", proxied.url(SHORT), variables=variables) as mount:
        assert mount.names() == {"a.bin"}
        assert proxied.proxy.asked() == []
        assert (mount / "a.bin").read_bytes() == CONTENT
        assert set(proxied.proxy.asked()) == {("CONNECT", f"{STORE}:{proxied.port}")}


def test_plain_http(proxied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for what is to be had by plain http itself, and keeps the connection."""
    monkeypatch.setenv("http_proxy", proxied.proxy.url())
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    port = proxied.sandbox.url.rpartition(":")[2]
    url = httpx.URL(f"http://{STORE}:{port}/sandbox/requests?x=%2f")
    http = Http(2, StoreUnavailable, common(PATIENCE), permit=permits_no_local)
    with closing(http):
        response = http.get(url, {"Authorization": f"Bearer {KEY}"}, Deadline.after(PATIENCE))
        assert response.status_code == httpx.codes.OK
        body, view, text = http.body(response), memoryview(bytearray(1000)), b""
        while count := body.read_into(view):
            text += view[:count]
        response.close()
    assert text.startswith(b"{")
    assert text.endswith(b"}")
    assert proxied.proxy.asked() == [("GET", str(url))]
