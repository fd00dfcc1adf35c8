"""Makes a connection that is ready for requests, directly or through a proxy."""

import socket
import ssl
import time
from ipaddress import ip_address

import httpx

from empirical_fs.cancellation import Cancellation
from empirical_fs.net.addresses import Permit, is_here, permits_proxy
from empirical_fs.net.connecting import Connector
from empirical_fs.net.nested_tls import NestedTls
from empirical_fs.net.proxies import Route
from empirical_fs.net.tunnels import ProxyUnreachable, tunnel
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps

_SOON_SECONDS = 0.02


class Dialer:
    """Makes connections; `ends_at` is always a time of the monotonic clock."""

    def __init__(self, context: ssl.SSLContext, permit: Permit) -> None:
        """Connect directly to addresses that `permit` permits; check certificates by `context`."""
        self._context = context
        self._connector = Connector(permit)
        self._to_proxies = Connector(permits_proxy)
        self.is_here = False
        """Whether the last successful direct connection was to this machine; proxies do not count."""

    def dial(self, route: Route, ends_at: float, cancellation: Cancellation | None) -> Steps[socket.socket]:
        """A connection on this route; it can be cancelled once the TCP connection is made.

        Raises:
            UnsafeUrl: the server has no permitted address.
            ProxyUnreachable, ProxyRefused: the proxy cannot be reached, or refuses.
            TimeoutError: it took too long.
            OSError, UnicodeError: connecting or the TLS handshake failed.
            httpx.ReadError: it was cancelled.
        """
        server, proxy = route
        if proxy is None:
            connected, address = self._connected(self._connector, server, ends_at, cancellation)
            self.is_here = is_here(ip_address(address))
            return connected
        try:
            connected, _ = self._connected(self._to_proxies, proxy.server, ends_at, cancellation)
        except (OSError, UnicodeError) as error:
            raise ProxyUnreachable("the proxy cannot be reached") from error
        if not route.has_tunnel:
            return connected
        try:
            attach(cancellation, connected)
            yield from tunnel(connected, proxy, server, ends_at)
            if server.scheme == "https":
                return self._encrypted(connected, server.host, ends_at, cancellation)
        except BaseException:
            connected.close()
            raise
        return connected

    def _connected(
        self, connector: Connector, server: Server, ends_at: float, cancellation: Cancellation | None
    ) -> tuple[socket.socket, str]:
        """A connection to `server` itself, over TLS if its scheme is https, and the server's address."""
        connected = connector.connect(server, ends_at - time.monotonic())
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address: str = connected.getpeername()[0]
            with connector.judging(server, address):
                if server.scheme == "https":
                    connected = self._encrypted(connected, server.host, ends_at, cancellation)
        except BaseException:
            connected.close()
            raise
        return connected, address

    def _encrypted(
        self, connected: socket.socket, host: str, ends_at: float, cancellation: Cancellation | None
    ) -> socket.socket:
        """Do the TLS handshake; the result owns `connected`, which is closed if the handshake fails."""
        connected.settimeout(max(ends_at - time.monotonic(), _SOON_SECONDS))
        encrypted: ssl.SSLSocket | NestedTls
        if isinstance(connected, ssl.SSLSocket):
            encrypted = NestedTls(connected, self._context, host)
        else:
            encrypted = self._context.wrap_socket(
                connected, server_hostname=host, do_handshake_on_connect=False
            )
        try:
            attach(cancellation, encrypted)
            encrypted.do_handshake()
        except BaseException as error:
            encrypted.close()
            if cancellation is not None and cancellation.is_cancelled:
                # The address is not to blame (see `Connector.judging`).
                raise httpx.ReadError("the request was cancelled") from error
            raise
        return encrypted


def attach(cancellation: Cancellation | None, connected: socket.socket) -> None:
    """Let `cancellation` shut down this socket from now on.

    Raises:
        httpx.ReadError: it was cancelled.
    """
    if cancellation is not None and not cancellation.attach(connected):
        raise httpx.ReadError("the request was cancelled")
