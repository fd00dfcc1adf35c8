"""Tunnels through a proxy: the handshake with it, after which all bytes come from the server behind it."""

import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from socksio.exceptions import SOCKSError
from socksio.socks5 import (
    SOCKS5AuthMethod,
    SOCKS5AuthMethodsRequest,
    SOCKS5AuthReply,
    SOCKS5Command,
    SOCKS5CommandRequest,
    SOCKS5Connection,
    SOCKS5ReplyCode,
    SOCKS5UsernamePasswordReply,
    SOCKS5UsernamePasswordRequest,
)

from empirical_fs.net.heads import ArrivingHead, Unreadable
from empirical_fs.net.proxies import SOCKS, Proxy, Route
from empirical_fs.server import Server
from empirical_fs.work.waits import Readable, Steps

_AUTHENTICATION_REQUIRED = (401, 407)
"""Proxies should answer 407 only, but tinyproxy answers 401 if the password is wrong."""
_SOON_SECONDS = 0.02
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_SIZES = {_IPV4: 4, _IPV6: 16}
"""Bytes of each kind of address (RFC 1928, 5)."""
_NAME_MAX = 255


class ProxyUnreachable(httpx.ConnectError):
    """No connection to the proxy can be made; the cause says why."""


class ProxyRefused(httpx.ProxyError):
    """The proxy refuses to connect; the text, which may be empty, says why in a few words."""

    def __init__(self, why: str, *, wants_name: bool = False) -> None:
        """`wants_name`: it wants a user name and a password, or rejects the given ones."""
        super().__init__(why)
        self.wants_name = wants_name


def authorization(proxy: Proxy) -> dict[str, str]:
    """The header that authenticates the user to an HTTP proxy (RFC 7617); empty without a user name."""
    if not proxy.username and not proxy.password:
        return {}
    pair = b64encode(f"{proxy.username}:{proxy.password}".encode()).decode("ascii")
    return {"Proxy-Authorization": f"Basic {pair}"}


def tunnel(connected: socket.socket, proxy: Proxy, server: Server, ends_at: float) -> Steps[None]:
    """Have the proxy at the other end of `connected` connect to a server, until `ends_at` (monotonic clock).

    Raises:
        ProxyRefused: it refuses, or does not answer in time.
    """
    steps = _by_socks if proxy.server.scheme == SOCKS else _by_connect
    with _translated():
        yield from steps(connected, proxy, server, ends_at)


def target_for_proxy(route: Route, target: str, host: str) -> str:
    """`target` at `host` as this route needs it: in absolute form for an HTTP proxy (RFC 9112, 3.2.2)."""
    if route.proxy is None or route.has_tunnel:
        return target
    return f"{route.server.scheme}://{host}{target}"


def _by_connect(connected: socket.socket, proxy: Proxy, server: Server, ends_at: float) -> Steps[None]:
    """Ask an HTTP proxy by the CONNECT method (RFC 9110, 9.3.6)."""
    host = _without_zone(server.host)
    authority = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
    fields = {"Host": authority, **authorization(proxy)}
    lines = [f"CONNECT {authority} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    _send(connected, "\r\n".join(lines).encode("ascii"), ends_at)
    connected.settimeout(0)
    arriving = ArrivingHead(connected)
    while not arriving.has_come():
        yield from _readable(connected, ends_at)
    status = arriving.take().status
    if not httpx.codes.is_success(status):
        raise ProxyRefused(f"HTTP {status}", wants_name=status in _AUTHENTICATION_REQUIRED)
    if arriving.has_rest:
        # No server that we talk to sends first, so the extra bytes would be the proxy's.
        raise ProxyRefused("more came than its answer")


def _by_socks(connected: socket.socket, proxy: Proxy, server: Server, ends_at: float) -> Steps[None]:
    """Ask a SOCKS5 proxy (RFC 1928 and 1929), which looks up the name."""
    host = _without_zone(server.host)
    if len(host) > _NAME_MAX:
        raise ProxyRefused("its name is too long")
    protocol = SOCKS5Connection()
    methods = [SOCKS5AuthMethod.NO_AUTH_REQUIRED]
    if proxy.username or proxy.password:
        methods.append(SOCKS5AuthMethod.USERNAME_PASSWORD)
    protocol.send(SOCKS5AuthMethodsRequest(methods))
    _send(connected, protocol.data_to_send(), ends_at)
    choice = protocol.receive_data((yield from _received(connected, 2, ends_at)))
    if not isinstance(choice, SOCKS5AuthReply) or choice.method not in methods:
        raise ProxyRefused("it wants another way to sign in", wants_name=True)
    if choice.method == SOCKS5AuthMethod.USERNAME_PASSWORD:
        protocol.send(SOCKS5UsernamePasswordRequest(proxy.username.encode(), proxy.password.encode()))
        _send(connected, protocol.data_to_send(), ends_at)
        verdict = protocol.receive_data((yield from _received(connected, 2, ends_at)))
        if not isinstance(verdict, SOCKS5UsernamePasswordReply) or not verdict.success:
            raise ProxyRefused("it rejected them", wants_name=True)
    protocol.send(SOCKS5CommandRequest.from_address(SOCKS5Command.CONNECT, (host, server.port)))
    _send(connected, protocol.data_to_send(), ends_at)
    # A proxy that refuses may send only these four bytes.
    head = yield from _received(connected, 4, ends_at)
    code = SOCKS5ReplyCode(head[1:2])
    if code is not SOCKS5ReplyCode.SUCCEEDED:
        raise ProxyRefused(code.name.lower().replace("_", " "))
    if head[3] == _NAME:
        size = yield from _received(connected, 1, ends_at)
        rest = size + (yield from _received(connected, size[0] + 2, ends_at))
    else:
        rest = yield from _received(connected, _ADDRESS_SIZES.get(head[3], 0) + 2, ends_at)
    protocol.receive_data(head + rest)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ProxyRefused("it did not answer in time") from error
    except Unreadable as error:
        raise ProxyRefused(str(error)) from error
    except (SOCKSError, ValueError) as error:
        raise ProxyRefused("what it answers is not SOCKS5") from error
    except OSError as error:
        raise ProxyRefused("it broke off") from error


def _send(connected: socket.socket, data: bytes, ends_at: float) -> None:
    connected.settimeout(max(ends_at - time.monotonic(), _SOON_SECONDS))
    connected.sendall(data)


def _readable(connected: socket.socket, ends_at: float) -> Steps[None]:
    left = ends_at - time.monotonic()
    if left <= 0 or not (yield Readable(connected, left)):
        raise TimeoutError


def _received(connected: socket.socket, count: int, ends_at: float) -> Steps[bytes]:
    """Exactly `count` bytes; what follows them stays in the socket."""
    data = bytearray()
    while len(data) < count:
        yield from _readable(connected, ends_at)
        piece = connected.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return bytes(data)


def _without_zone(host: str) -> str:
    """The host without an IPv6 zone, which has a meaning on this machine only (RFC 6874, 1)."""
    return host.partition("%")[0] if ":" in host else host
