"""Decides whether a "not found" page comes from the server itself.

nginx and other servers answer requests for a removed object with an HTML page (RFC 9110, 15.5.5). But such a
page also comes, for every object, from a new owner of the server's domain name, from the sign-in page of a
network, or from a CDN without its origin: then it does not show that the object was removed.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from empirical_fs.errors import BadAnswer, StoreUnavailable
from empirical_fs.net.http11 import Answer
from empirical_fs.net.intermediaries import is_from_intermediary
from empirical_fs.net.lru_table import LruTable
from empirical_fs.net.probe_requests import ProbeRequest, ProbeRequests
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps

_CHECKED_SECONDS = 1.0
"""For this long, all pages of a server count as not its own, so that many reads cause one check."""


class Evidence(NamedTuple):
    """What an answer shows about its sender."""

    is_served: bool
    """Whether it holds the object that was asked for."""
    is_page: bool
    """Whether it is an HTML page (see intermediaries.py)."""
    software: str
    """The `Server` field (RFC 9110, 10.2.4); empty if there is none."""


def evidence_of(response: Answer) -> Evidence:
    """What this answer shows about its sender."""
    is_page = is_from_intermediary(response.headers)
    return Evidence(response.is_success and not is_page, is_page, response.headers.get("server", ""))


def is_likely_own(others: list[Evidence], again: Evidence, software: str) -> bool:
    """Whether the page is probably the server's own, when no other object is served that would prove it.

    Args:
        others: the answers for other objects, which the server served before and does not serve now.
        again: the answer to a second request for the same object.
        software: the server's `Server` field when it served something.
    """
    if any(other.is_page for other in others):
        return False
    return again.is_page and bool(software) and again.software == software


class NotFoundPages:
    """Checks pages by asking servers for objects that they served before. Threads may share it."""

    def __init__(
        self,
        ask: Callable[[ProbeRequest], Steps[Answer]],
        probe_requests: ProbeRequests,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send these `probe_requests` by `ask`; `clock` gives seconds."""
        self._ask = ask
        self._probe_requests = probe_requests
        self._clock = clock
        self._not_itself = LruTable[Server, float]()

    def is_own(self, asked: ProbeRequest) -> Steps[bool]:
        """Whether a "not found" page that has just come for `asked` is the server's own."""
        server = Server.of(asked.url)
        at = self._not_itself.get(server)
        if at is not None and self._clock() - at < _CHECKED_SECONDS:
            return False
        known = list(self._probe_requests.served(server))
        others = []
        for sample in known:
            if sample.url.path != asked.url.path:
                evidence = yield from self._ask_for(sample)
                if evidence.is_served:
                    return True
                others.append(evidence)
        again = yield from self._ask_for(asked)
        if is_likely_own(others, again, known[0].software if known else ""):
            return True
        self._not_itself.put(server, self._clock())
        return False

    def _ask_for(self, sample: ProbeRequest) -> Steps[Evidence]:
        try:
            response = yield from self._ask(sample)
        except (StoreUnavailable, BadAnswer):
            return Evidence(is_served=False, is_page=False, software="")
        response.close()
        return evidence_of(response)
