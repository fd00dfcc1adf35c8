"""The server part of a URL: scheme, host and port."""

from typing import NamedTuple, Protocol

_HTTPS_PORT, _HTTP_PORT = 443, 80


class Url(Protocol):
    """The attributes of httpx.URL used here; to import httpx itself takes a fifth of a second."""

    @property
    def scheme(self) -> str: ...  # noqa: D102
    @property
    def raw_host(self) -> bytes: ...  # noqa: D102
    @property
    def port(self) -> int | None: ...  # noqa: D102


class Server(NamedTuple):
    """The origin of a URL (RFC 6454)."""

    scheme: str
    host: str
    """In ASCII; an IPv6 address is without its brackets."""
    port: int

    @classmethod
    def of(cls, url: Url) -> "Server":
        """The server of `url`."""
        default = _HTTPS_PORT if url.scheme == "https" else _HTTP_PORT
        return cls(url.scheme, url.raw_host.decode("ascii").strip("[]"), url.port or default)
