"""The proxies that the environment names, and who is asked through them."""

import ssl
from functools import lru_cache
from urllib.request import getproxies, proxy_bypass

import httpx

_KEEPALIVE_SECONDS = 60.0
_HOSTS_KNOWN = 256


class Proxies:
    """A transport of httpx for each proxy; immutable, and safe to share."""

    def __init__(self, connections: int, context: ssl.SSLContext) -> None:
        """Have up to `connections` open to each; check certificates by `context`.

        Raises:
            ValueError, httpx.InvalidURL, ImportError: what the environment names is no proxy for us.
        """
        limits = httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        )
        self._transports = {
            scheme: httpx.HTTPTransport(
                verify=context, limits=limits, proxy=name if "://" in name else f"http://{name}"
            )
            for scheme, name in getproxies().items()
            if scheme in ("http", "https", "all") and name
        }
        self._is_passed = lru_cache(_HOSTS_KNOWN)(lambda host: bool(proxy_bypass(host)))

    def of(self, url: httpx.URL) -> httpx.HTTPTransport | None:
        """The one for this URL; None where it is asked directly."""
        found = self._transports.get(url.scheme) or self._transports.get("all")
        return None if found is None or self._is_passed(url.host) else found

    def close(self) -> None:
        """Close their connections."""
        for each in self._transports.values():
            each.close()
