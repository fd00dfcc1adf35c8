"""Where a request goes, as far as it can be found once for all requests with one URL."""

from dataclasses import dataclass, field
from typing import Self

import httpx

from empirical_fs.net.urls import is_loopback
from empirical_fs.server import Server


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """A URL, which may be signed, and what a request to it needs."""

    url: httpx.URL = field(repr=False)
    target: bytes = field(repr=False)
    """The request target: the path and query as they were signed, byte for byte."""
    server: Server
    host: str
    """The Host field of the request (RFC 9110, 7.2)."""
    is_loopback: bool
    """Whether it is on this machine."""

    @classmethod
    def of(cls, url: httpx.URL, target: bytes | None = None) -> Self:
        """The destination of requests to `url`; without a `target`, as httpx writes its path and query."""
        host = url.netloc.decode("ascii")
        return cls(url, target or url.raw_path, Server.of(url), host, is_loopback(url))
