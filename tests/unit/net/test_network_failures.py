"""What people read of a failed connection: plain words, the name of the host, and what to do."""

import errno
import socket
import ssl
import threading
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, SetupError
from empirical_fs.net.addresses import permits_all
from empirical_fs.net.certificates import create_context
from empirical_fs.net.client import Common, Http
from empirical_fs.net.connecting import ResolverSilent
from empirical_fs.net.network_failures import described, is_lasting, is_silence
from empirical_fs.net.proxies import is_excepted
from empirical_fs.server import Server
from tests.support import nginx
from tests.support.ports import unused_port
from tests.support.small_proxies import Socks
from tests.support.wire import Listening

SERVER = Server("https", "api.example", 8443)
PATIENCE = 10.0


def caused(error: httpx.TransportError, cause: BaseException) -> httpx.TransportError:
    error.__cause__ = cause
    return error


def untrusted(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("cause", "phrase", "lasts"),
    [
        (OSError(errno.ECONNREFUSED, "Connection refused"), "api.example:8443 refused the connection", False),
        (
            OSError(errno.ENETUNREACH, "Network is unreachable"),
            "no network route to api.example; is the net",
            False,
        ),
        (OSError(errno.EMFILE, "Too many open files"), "to api.example: Too many open files", False),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "the name api.example is not known; check", False),
        (
            socket.gaierror(socket.EAI_AGAIN, "again"),
            "no name server says where api.example is; check",
            False,
        ),
        (UnicodeError("label too long"), "the name api.example is not known", False),
        (ssl.SSLEOFError(8, "EOF"), "the connection to api.example could not be made", False),
        (
            untrusted(10),
            "certificate of api.example has expired; check this machine's clock; a sign-in",
            True,
        ),
        (untrusted(9), "is not valid yet; check this machine's clock", True),
        (
            untrusted(18, "self-signed certificate"),
            "not trusted (self-signed certificate); add its authority",
            True,
        ),
        (untrusted(20, "no issuer"), "(update-ca-certificates), or name its file in SSL_CERT_FILE", True),
        (untrusted(62), "what answers as api.example has a certificate for another name", True),
    ],
)
def test_connecting(cause: OSError | UnicodeError, phrase: str, *, lasts: bool) -> None:
    """Each cause in words of its own; what will be the same in a moment is told from what may not."""
    error = caused(httpx.ConnectError("x"), cause)
    assert phrase in str(described(error, SERVER))
    assert "api.example" in str(described(error, SERVER))
    assert is_lasting(error) == lasts
    assert is_silence(error) == (getattr(cause, "errno", None) != errno.EMFILE)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("x"), "connecting to api.example took too long"),
        (caused(httpx.ConnectTimeout("x"), ResolverSilent()), "no name server says where api.example is"),
        (httpx.ReadTimeout("x"), "api.example did not answer in time"),
        (httpx.PoolTimeout("x"), "too many requests to api.example are under way"),
        (httpx.RemoteProtocolError("x"), "the connection to api.example broke off"),
        (httpx.UnsupportedProtocol("https://x/?secret"), "the request to api.example failed (Unsupported"),
    ],
)
def test_what_went_wrong(error: httpx.TransportError, words: str) -> None:
    """The host is named, and nothing of the URL."""
    assert str(described(error, SERVER)).startswith(words)


def failure(http: Http, url: str) -> ApiUnavailable:
    with closing(http), pytest.raises(ApiUnavailable) as caught:
        http.get(httpx.URL(url), {}, Deadline.after(PATIENCE))
    return caught.value


def api() -> Http:
    # The variables that name certificates are read now.
    common = Common(create_context(), threading.Event(), PATIENCE)
    return Http(2, ApiUnavailable, common, permit=permits_all)


def test_a_server_that_speaks_no_tls() -> None:
    """It is said without the words of OpenSSL, at once."""
    with closing(Proxying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        told = failure(api(), server.origin.replace("http:", "https:"))
    assert "is not speaking TLS; is it http://" in str(told)
    assert told.lasting


class Renewed(Listening):
    """A server over TLS whose certificate can be replaced; the first one is of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.have(folder)
        super().__init__()
        self.origin = self.origin.replace("http:", "https:")

    def have(self, folder: Path) -> None:
        folder.mkdir()
        nginx.make_certificate(folder)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(10_000)
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_a_certificate_that_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a server that was never well, it ends the tries; from one that was, a portal may be in between."""
    with closing(Renewed(tmp_path / "first")) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.authority(tmp_path / "first")))
        with closing(api()) as http:
            http.get(httpx.URL(server.origin), {}, Deadline.after(PATIENCE)).close()
            server.have(tmp_path / "second")
            with pytest.raises(ApiUnavailable, match=r"certificate of 127\.0\.0\.1 is not trusted") as caught:
                http.get(httpx.URL(server.origin), {}, Deadline.after(PATIENCE))
            assert not caught.value.lasting
        assert failure(api(), server.origin).lasting


class Proxying(Listening):
    """A proxy, or another server, that says `answer` to whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        connection.recv(10_000)
        connection.sendall(self._answer)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("answer", "words", "lasts"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "wants another user name or password (HTTP 407)",
            True,
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "does not connect to api.example (HTTP 403)", False),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "does not connect to api.example (HTTP 502)", False),
    ],
)
def test_a_proxy_that_refuses(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, words: str, *, lasts: bool
) -> None:
    """It is named, with what it wants and the variable that leads to it, and without the password."""
    with closing(Proxying(answer)) as proxy:
        place = proxy.origin.removeprefix("http://")
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{place}")
        told = failure(api(), "https://api.example/")
    assert str(told).startswith(f"the proxy {place} {words}")
    assert "HTTPS_PROXY" in str(told)
    assert "secret" not in str(told)
    assert told.lasting == lasts


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the proxy that cannot be reached, and not the API."""
    port = unused_port()
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
    told = failure(api(), "https://api.example/")
    assert str(told) == f"the proxy 127.0.0.1:{port} cannot be reached; check ALL_PROXY"


class Named(Listening):
    """A server over TLS with the name store.example."""

    def __init__(self, folder: Path) -> None:
        nginx.make_certificate(folder, "DNS:store.example")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(10_000)
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
def test_a_proxy_of_socks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """`ALL_PROXY=socks5://...` and its like are used; the proxy is told the name, and looks it up."""
    with closing(Named(tmp_path)) as server, closing(Socks(int(server.origin.rpartition(":")[2]))) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.authority(tmp_path)))
        monkeypatch.setenv("ALL_PROXY", proxy.origin.replace("http", scheme))
        with closing(api()) as http:
            response = http.get(httpx.URL("https://store.example/o"), {}, Deadline.after(PATIENCE))
            buffer = bytearray(10)
            assert http.body(response).read_into(memoryview(buffer)) == 4
            assert bytes(buffer[:4]) == b"good"
            response.close()
        assert proxy.asked == [b"store.example"]


@pytest.mark.parametrize(
    "name", ["socks4://me:secret@x:1", "ftp://me:secret@x", "http://", "://", "http://x:y:z"]
)
def test_what_is_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is told in a line, with the variable and what to write, and without the password."""
    monkeypatch.setenv("https_proxy", name)
    with pytest.raises(SetupError, match=r"https_proxy names no proxy .*socks5://HOST:PORT") as caught:
        api()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "exceptions", "is_direct"),
    [
        ("10.1.2.3", "fe80::/10,10.0.0.0/8", True),
        ("11.1.2.3", "fe80::/10,10.0.0.0/8", False),
        ("fd00::1", "localhost,[fd00::]/8, fd00::/8", True),
        ("::1", "[::1]", True),
        ("a.example", "*.example,::1", True),
        ("example", "*.example", False),
        ("a.example", "fe80::/10,,/,10.0.0.0/99", False),
    ],
)
def test_networks_in_no_proxy(host: str, exceptions: str, *, is_direct: bool) -> None:
    """Networks and `*.` mean there what they mean to other programs, and nonsense means nothing."""
    assert is_excepted(host, exceptions) == is_direct
