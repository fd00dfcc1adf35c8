"""What is asked: a server, apart from what is asked of it."""

from typing import NamedTuple, Protocol

_HTTPS_PORT, _HTTP_PORT = 443, 80


class Url(Protocol):
    """What httpx.URL says of the server, without httpx, which takes a fifth of a second to import."""

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
    """In ASCII, an IPv6 address without its brackets."""
    port: int

    @classmethod
    def of(cls, url: Url) -> "Server":
        """The server that is asked for `url`."""
        default = _HTTPS_PORT if url.scheme == "https" else _HTTP_PORT
        return cls(url.scheme, url.raw_host.decode("ascii").strip("[]"), url.port or default)
