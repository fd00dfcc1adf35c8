"""The proxies that the environment names, and who is asked through them."""

import os
import ssl
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, proxy_bypass

import httpx

from empirical_fs.errors import SetupError

_KEEPALIVE_SECONDS = 60.0
_HOSTS_KNOWN = 256
_SCHEMES = ("http", "https", "all")
_OTHER_NAMES = {"socks": "socks5"}
"""As desktops write it that mean the newer one."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the way to it."""

    transport: httpx.HTTPTransport
    place: str
    """Its host and port, for people; no password."""
    variable: str
    """Who named it."""


class Proxies:
    """The proxy of each scheme; immutable, and safe to share."""

    def __init__(self, connections: int, context: ssl.SSLContext) -> None:
        """Have up to `connections` open to each; check certificates by `context`.

        Raises:
            SetupError: what the environment names is no proxy for us.
        """
        limits = httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        )
        found = getproxies()
        self._proxies = {
            scheme: _proxy(scheme, name, limits, context)
            for scheme, name in found.items()
            if scheme in _SCHEMES and name
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

    def close(self) -> None:
        """Close their connections."""
        for each in self._proxies.values():
            each.transport.close()


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


def _proxy(scheme: str, name: str, limits: httpx.Limits, context: ssl.SSLContext) -> Proxy:
    """The proxy that `name` names.

    Raises:
        SetupError: it names none; the message has no password in it.
    """
    variable = f"{scheme}_proxy"
    variable = variable if variable in os.environ else variable.upper()
    kind, _, rest = name.rpartition("://")
    try:
        url = httpx.URL(f"{_OTHER_NAMES.get(kind.lower(), kind or 'http')}://{rest}")
        if not url.host:
            raise ValueError("a proxy without a host")
        secure = context if url.scheme == "https" else None
        transport = httpx.HTTPTransport(
            verify=context, limits=limits, proxy=httpx.Proxy(url, ssl_context=secure)
        )
    except (ValueError, ImportError, UnicodeError, httpx.InvalidURL):
        # The error's text may hold the password.
        raise SetupError(
            f"{variable} names no proxy that can be used; write http://HOST:PORT or socks5://HOST:PORT,"
            " or unset it"
        ) from None
    return Proxy(transport, url.netloc.decode("ascii"), variable)
