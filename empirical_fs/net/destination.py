"""Where a request goes, as far as it can be found once for all requests with one URL."""

from dataclasses import dataclass, field
from typing import Self

import httpx

from empirical_fs.net.urls import is_loopback
from empirical_fs.server import Server


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What all URLs of one server have in common."""

    url: httpx.URL = field(repr=False)
    """One of them: its scheme, host and port are those of all."""
    server: Server
    host: str
    """The Host field of the request (RFC 9110, 7.2)."""
    is_loopback: bool
    """Whether it is on this machine."""

    @classmethod
    def of(cls, url: httpx.URL) -> Self:
        """The origin of `url`."""
        return cls(url, Server.of(url), url.netloc.decode("ascii"), is_loopback(url))


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """A URL, which may be signed, and what a request to it needs."""

    origin: Origin
    target: bytes = field(repr=False)
    """The request target: the path and query as they were signed, byte for byte."""
    text: str | None = field(default=None, repr=False)
    """The URL, if it was not parsed yet: to parse each of many files' takes long, and few need it."""

    @classmethod
    def of(cls, url: httpx.URL, target: bytes | None = None) -> Self:
        """The destination of requests to `url`; without a `target`, as httpx writes its path and query."""
        return cls(Origin.of(url), target or url.raw_path)

    @property
    def url(self) -> httpx.URL:
        """The URL."""
        return self.origin.url if self.text is None else httpx.URL(self.text)
