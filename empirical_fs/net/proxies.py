"""The proxies that the environment names, and which servers are asked through them."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.request import getproxies, proxy_bypass

import httpx

from empirical_fs.errors import SetupError
from empirical_fs.server import Server

SOCKS = "socks5"
_HOSTS_KNOWN = 256
_SCHEMES = ("http", "https", "all")
_NAME_MAX = 255
"""Bytes of a user name or a password (RFC 1929, 2)."""
_PORTS = {"http": 80, "https": 443, SOCKS: 1080}
"""The default port of each kind of proxy."""
_OTHER_NAMES = {"socks": SOCKS, "socks5h": SOCKS}
"""Other schemes for SOCKS5: that of desktops, and curl's for name look-up by the proxy, as is done here."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; the scheme of its `server` says which kind: `http`, `https` (HTTP over TLS) or `socks5`."""

    server: Server
    place: str
    """Its host and port for messages, without the password."""
    variable: str
    """The environment variable that names it."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class Route(NamedTuple):
    """A server and the proxy, if any, through which it is asked; connections are kept for each route."""

    server: Server
    proxy: Proxy | None = None

    @property
    def has_tunnel(self) -> bool:
        """Whether the proxy makes a tunnel; for plain http an HTTP proxy sends the request itself."""
        return self.proxy is not None and (self.server.scheme == "https" or self.proxy.server.scheme == SOCKS)


class Proxies:
    """The proxy of each scheme; immutable, and safe to share."""

    def __init__(self) -> None:
        """Read the environment's proxy variables.

        Raises:
            SetupError: they name a proxy that cannot be used.
        """
        found = getproxies()
        self._proxies = {
            scheme: _proxy(scheme, name) for scheme, name in found.items() if scheme in _SCHEMES and name
        }
        exceptions = found.get("no", "")
        self._is_passed = lru_cache(_HOSTS_KNOWN)(
            lambda host, port: bool(proxy_bypass(f"{host}:{port}")) or is_excepted(host, exceptions)
        )

    def of(self, url: httpx.URL) -> Proxy | None:
        """The proxy for this URL; None if it is fetched directly."""
        found = self._proxies.get(url.scheme) or self._proxies.get("all")
        port = url.port or (443 if url.scheme == "https" else 80)
        return None if found is None or self._is_passed(url.host, port) else found


def is_excepted(host: str, exceptions: str) -> bool:
    """Whether NO_PROXY excepts a host by forms that the standard library does not know: networks and `*.`."""
    try:
        address = ip_address(host)
    except ValueError:
        names = (each.strip().lower() for each in exceptions.split(","))
        return any(name.startswith("*.") and host.lower().endswith(name[1:]) for name in names)
    for each in exceptions.split(","):
        try:
            network = ip_network(each.strip().strip("[]"), strict=False)
        except ValueError:
            continue  # a host name
        if address in network:
            return True
    return False


def _proxy(scheme: str, name: str) -> Proxy:
    """The proxy that `name`, a URL or HOST:PORT, names.

    Raises:
        SetupError: it names no usable proxy; the message does not contain the password.
    """
    variable = f"{scheme}_proxy"
    variable = variable if variable in os.environ else variable.upper()
    kind, _, rest = name.rpartition("://")
    kind = kind.lower() or "http"
    try:
        url = httpx.URL(f"{_OTHER_NAMES.get(kind, kind)}://{rest}")
        host = url.raw_host.decode("ascii").strip("[]")
        if not host or url.scheme not in _PORTS:
            raise ValueError("a proxy without a host, or of another kind")
        place, username, password = url.netloc.decode("ascii"), url.username, url.password
        if url.scheme == SOCKS and max(len(username.encode()), len(password.encode())) > _NAME_MAX:
            raise ValueError("names that SOCKS has no room for")
    except (ValueError, httpx.InvalidURL):
        # The error's text may hold the password.
        raise SetupError(
            f"{variable} names no proxy that can be used",
            advice="write http://HOST:PORT or socks5://HOST:PORT, or unset it",
        ) from None
    server = Server(url.scheme, host, url.port or _PORTS[url.scheme])
    return Proxy(server, place, variable, username, password)
