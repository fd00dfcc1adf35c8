"""What is asked: a server, apart from what is asked of it."""

from typing import NamedTuple

import httpx

_HTTPS_PORT, _HTTP_PORT = 443, 80


class Server(NamedTuple):
    """The origin of a URL (RFC 6454)."""

    scheme: str
    host: str
    """In ASCII, an IPv6 address without its brackets."""
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Server":
        """The server that is asked for `url`."""
        default = _HTTPS_PORT if url.scheme == "https" else _HTTP_PORT
        return cls(url.scheme, url.raw_host.decode("ascii").strip("[]"), url.port or default)
