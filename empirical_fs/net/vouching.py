"""Whether a page that says "not found" in the name of a server is its own.

nginx and others say so of an object that was removed by a page for people (RFC 9110, 15.5.5). So do, of all
that is asked for, whoever bought the server's name, the sign-in of a network, or a CDN without its origin:
such a page says nothing of an object.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import httpx

from empirical_fs.errors import BadAnswer, StoreUnavailable
from empirical_fs.net.in_between import is_of_another
from empirical_fs.net.recent import Recent
from empirical_fs.net.samples import Sample, Samples
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps

_BELIEVED_SECONDS = 1.0
"""For how long all of a server is believed to be somebody else's, so that many readers ask once."""


class Told(NamedTuple):
    """What an answer says of who gave it."""

    is_served: bool
    """Whether it brings what was asked for."""
    is_page: bool
    """Whether it is a page for people."""
    software: str
    """The `Server` field (RFC 9110, 10.2.4); empty where there is none."""


def told_by(response: httpx.Response) -> Told:
    """What this answer says."""
    is_page = is_of_another(response.headers)
    return Told(response.is_success and not is_page, is_page, response.headers.get("server", ""))


def is_likely_own(others: list[Told], again: Told, software: str) -> bool:
    """Whether the page is the server's own, where nothing is served that would show it.

    Args:
        others: what came for other objects, which it served before, and does not now.
        again: what comes for the same object.
        software: what the server called itself when it served something.
    """
    if any(other.is_page for other in others):
        return False
    return again.is_page and bool(software) and again.software == software


class Vouching:
    """Asks servers for what they served before. Threads may share it."""

    def __init__(
        self,
        ask: Callable[[Sample], Steps[httpx.Response]],
        samples: Samples,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask by `ask` for `samples`; `clock` tells seconds."""
        self._ask = ask
        self._samples = samples
        self._clock = clock
        self._not_itself = Recent[Server, float]()

    def is_own(self, asked: Sample) -> Steps[bool]:
        """Whether a page that has just come for `asked` is the server's own."""
        server = Server.of(asked.url)
        at = self._not_itself.get(server)
        if at is not None and self._clock() - at < _BELIEVED_SECONDS:
            return False
        known = list(self._samples.served(server))
        others = []
        for sample in known:
            if sample.url.path != asked.url.path:
                told = yield from self._told(sample)
                if told.is_served:
                    return True
                others.append(told)
        again = yield from self._told(asked)
        if is_likely_own(others, again, known[0].software if known else ""):
            return True
        self._not_itself.put(server, self._clock())
        return False

    def _told(self, sample: Sample) -> Steps[Told]:
        try:
            response = yield from self._ask(sample)
        except (StoreUnavailable, BadAnswer):
            return Told(is_served=False, is_page=False, software="")
        response.close()
        return told_by(response)
