"""What is asked: a server, apart from what is asked of it."""

from typing import NamedTuple


class Server(NamedTuple):
    """The origin of a URL (RFC 6454)."""

    scheme: str
    host: str
    port: int | None
    """None for the scheme's own."""
