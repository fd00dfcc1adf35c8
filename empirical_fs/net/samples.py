"""What a server is asked to find out whether it answers: what it answered before, by one byte of it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx

from empirical_fs.net.recent import Recent
from empirical_fs.server import Server

_KEPT = 3
"""Requests of each server: one object may be what it does not answer for."""
_RANGE, _IF_MATCH = "Range", "If-Match"


class Sample(NamedTuple):
    """What was asked for; the URL may be signed, and the headers may have the key."""

    url: httpx.URL
    headers: dict[str, str]
    target: bytes | None = None
    """The path as it was signed, byte for byte; what httpx makes of the URL, where it is None."""
    software: str = ""
    """What whoever answered it calls itself (`Server` of RFC 9110, 10.2.4)."""


class Samples:
    """The latest requests that each server answered.

    A server may close `GET /` without an answer, and serve all that readers ask for. Threads may share it:
    what is kept of a server is replaced whole.
    """

    def __init__(self) -> None:
        """Know of none yet."""
        self._of = Recent[Server, tuple[Sample, ...]]()

    def answered(self, server: Server, sample: Sample) -> None:
        """Take note of a request that was answered."""
        known = self._of.get(server) or ()
        if known and known[-1].url is sample.url:
            return
        # The same again, perhaps signed anew: the newest signature lives longest.
        others = [each for each in known if each.url.path != sample.url.path]
        kept = sample._replace(headers=_of_one_byte(sample.headers))
        self._of.put(server, (*others, kept)[-_KEPT:])

    def served(self, server: Server) -> Iterator[Sample]:
        """What a server has answered, the latest first."""
        return reversed(self._of.peek(server) or ())

    def of(self, server: Server) -> Iterator[Sample]:
        """What to ask a server for, the latest first; at last its root."""
        yield from self.served(server)
        yield Sample(httpx.URL(scheme=server.scheme, host=server.host, port=server.port, path="/"), {})


def _of_one_byte(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name != _IF_MATCH}
    return {**kept, _RANGE: "bytes=0-0"} if _RANGE in kept else kept
