"""The proxies that the environment names, and who is asked through them."""

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
"""Of each kind of proxy, where no other is given."""
_OTHER_NAMES = {"socks": SOCKS, "socks5h": SOCKS}
"""As desktops write it that mean the newer one, and as curl does where the proxy looks up names: always."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of HTTP, of HTTP over TLS, or of SOCKS5, as its `server` has for a scheme."""

    server: Server
    place: str
    """Its host and port, for people; no password."""
    variable: str
    """Who named it."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class Route(NamedTuple):
    """A server, and through whom it is asked: connections are kept for each pair."""

    server: Server
    proxy: Proxy | None = None

    @property
    def has_tunnel(self) -> bool:
        """Whether the proxy is told to connect; a proxy of HTTP is asked for what plain http has itself."""
        return self.proxy is not None and (self.server.scheme == "https" or self.proxy.server.scheme == SOCKS)


class Proxies:
    """The proxy of each scheme; immutable, and safe to share."""

    def __init__(self) -> None:
        """Those that the environment names by now.

        Raises:
            SetupError: what it names is no proxy for us.
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
        """The one for this URL; None where it is asked directly."""
        found = self._proxies.get(url.scheme) or self._proxies.get("all")
        port = url.port or (443 if url.scheme == "https" else 80)
        return None if found is None or self._is_passed(url.host, port) else found


def is_excepted(host: str, exceptions: str) -> bool:
    """Whether NO_PROXY excepts a host by what the standard library does not know: networks, and `*.`."""
    try:
        address = ip_address(host)
    except ValueError:
        names = (each.strip().lower() for each in exceptions.split(","))
        return any(name.startswith("*.") and host.lower().endswith(name[1:]) for name in names)
    for each in exceptions.split(","):
        try:
            network = ip_network(each.strip().strip("[]"), strict=False)
        except ValueError:
            continue  # a name
        if address in network:
            return True
    return False


def _proxy(scheme: str, name: str) -> Proxy:
    """The proxy that `name` names.

    Raises:
        SetupError: it names none; the message has no password in it.
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
