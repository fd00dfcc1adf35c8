"""The requests that probe whether a server answers: earlier ones that it answered, for one byte only."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx

from empirical_fs.net.lru_table import LruTable
from empirical_fs.server import Server

_KEPT = 3
"""Requests kept for each server: more than one, since it may fail for one object only."""
_OLD_SECONDS = 1.0
"""Of many small files, each has a URL of its own: to look at each of them would take long."""
_RANGE, _IF_MATCH = "Range", "If-Match"


class ProbeRequest(NamedTuple):
    """One request; the URL may be signed, and the headers may hold the key."""

    url: httpx.URL
    headers: dict[str, str]
    target: bytes | None = None
    """The path and query as they were signed, byte for byte; None: as httpx writes the URL's."""
    software: str = ""
    """The `Server` field of the answer (RFC 9110, 10.2.4)."""


class ProbeRequests:
    """The latest requests that each server answered.

    They serve as probes since some servers close `GET /` without an answer but serve all objects. Threads may
    share it: the requests of a server are an immutable tuple, which is replaced.
    """

    def __init__(self) -> None:
        """Start without any request."""
        self._of = LruTable[Server, tuple[ProbeRequest, ...]]()
        self._kept_at = LruTable[Server, float]()

    def is_due(self, server: Server, target: bytes) -> bool:
        """Whether to record an answered request for `target`: there are few others, or they are old."""
        known = self._of.peek(server) or ()
        if len(known) < _KEPT and all(each.target != target for each in known):
            return True
        return time.monotonic() - (self._kept_at.peek(server) or 0.0) >= _OLD_SECONDS

    def answered(self, server: Server, sample: ProbeRequest) -> None:
        """Record a request that was answered."""
        known = self._of.get(server) or ()
        if known and known[-1].url is sample.url:
            return
        # The same path may have been signed anew: keep the newest signature, which expires last.
        others = [each for each in known if each.url.path != sample.url.path]
        kept = sample._replace(headers=_of_one_byte(sample.headers))
        self._of.put(server, (*others, kept)[-_KEPT:])
        self._kept_at.put(server, time.monotonic())

    def served(self, server: Server) -> Iterator[ProbeRequest]:
        """The requests that a server has answered, the latest first."""
        return reversed(self._of.peek(server) or ())

    def of(self, server: Server) -> Iterator[ProbeRequest]:
        """The requests that probe a server, the latest first; the last one is for its root."""
        yield from self.served(server)
        yield ProbeRequest(httpx.URL(scheme=server.scheme, host=server.host, port=server.port, path="/"), {})


def _of_one_byte(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name != _IF_MATCH}
    return {**kept, _RANGE: "bytes=0-0"} if _RANGE in kept else kept
