"""A circuit breaker: remembers which servers are unreachable, so that later requests fail at once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

from empirical_fs.net.lru_table import LruTable
from empirical_fs.server import Server
from empirical_fs.work.jobs import Job

_FIRST_PAUSE, _SECOND_PAUSE, _LONG_PAUSE = 1.0, 2.0, 5.0
_FIRST_LET_THROUGH, _LAST_LET_THROUGH = 5.0, 40.0
"""Pauses between requests that are let through, in seconds: each waits for as long as a read may."""
_HANGS_SECONDS = 60.0
"""A probe that has not ended after this time, which is more than its deadline, is taken to hang."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of one server. Times are in seconds of the clock of `Outages`."""

    watch: Job
    answered_at: float = float("-inf")
    lost_at: float | None = None
    """Since when the server is unreachable; None if it is not."""
    let_through_at: float = float("-inf")
    """When a request was let through last, or else when the server was found unreachable."""
    let_through_pause: float = _FIRST_LET_THROUGH
    """How many seconds later the next request is let through."""


class Outages:
    """A circuit breaker for each server, kept for the most recently used servers.

    When a request gets no answer, the server is probed at once: it may fail to answer for one object only. A
    server counts as lost (unreachable) when one request got no answer until its deadline, and no other
    request nor the probe got an answer meanwhile. It is then probed, at least every five seconds, until it
    answers something. Now and then a caller's request is let through, too: perhaps the server answers
    everything but the probe. The lock guards what is known of each; it is never held during a request.
    """

    def __init__(
        self,
        probe: Callable[[Server], bool],
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with all servers reachable.

        Args:
            probe: repeats a request that the server answered before; returns, within a few seconds, whether
                it answers.
            wait: waits for so many seconds; returns True, at once, when the file system is being unmounted.
            clock: the time in seconds.
        """
        self._probe = probe
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._servers = LruTable[Server, _Known]()

    def is_lost(self, server: Server) -> bool:
        """Whether the server is known to be unreachable; if it is, make sure that it is probed."""
        known = self._servers.peek(server)
        if known is None or known.lost_at is None:
            return False
        _watch(known)
        return True

    def lets_through(self, server: Server) -> bool:
        """Whether this request is to be sent although the server is lost, as a test for all others."""
        known = self._known(server)
        with self._lock:
            now = self._clock()
            if now - known.let_through_at < known.let_through_pause:
                return False
            known.let_through_at = now
            known.let_through_pause = min(known.let_through_pause * 2, _LAST_LET_THROUGH)
            return True

    def lost(self) -> dict[str, float]:
        """The hosts that are unreachable, and for how many seconds they have been."""
        lost = [(server, known, known.lost_at) for server, known in self._servers.items()]
        found = {}
        for server, known, since in lost:
            if since is not None:
                _watch(known)
                found[server.host] = self._clock() - since
        return found

    def answered(self, server: Server) -> None:
        """Record that the server has just answered something."""
        known = self._known(server)
        with self._lock:
            known.answered_at = self._clock()
            was_lost, known.lost_at = known.lost_at is not None, None
        if was_lost:
            log.warning("%s answers again", server.host)

    def unanswered(self, server: Server, since: float) -> None:
        """Record that a request sent at `since` (by the clock) got no answer."""
        known = self._known(server)
        if known.answered_at < since:
            _watch(known)

    def presume_lost(self, server: Server) -> None:
        """Assume that a server is unreachable until it answers a probe. This is not logged.

        It is probed as soon as a caller asks for it. No caller's request is let through: the caller would
        wait for long, and the probe is such a request itself.
        """
        known = self._known(server)
        with self._lock:
            known.lost_at = self._clock()
            known.let_through_at, known.let_through_pause = known.lost_at, float("inf")

    def gave_up(self, server: Server, since: float) -> None:
        """Record that a caller has tried without an answer since `since` (by the clock), and has given up."""
        known = self._known(server)
        with self._lock:
            if known.lost_at is not None or known.answered_at >= since:
                return
            known.lost_at = since
            known.let_through_at, known.let_through_pause = self._clock(), _FIRST_LET_THROUGH
        log.warning("%s is out of reach; reads that need it fail at once until it answers", server.host)
        known.watch.ask()

    def _known(self, server: Server) -> _Known:
        """What is known of a server; marks it as used."""
        return self._servers.get_or_put(
            server,
            lambda: _Known(Job("probe", partial(self._probe_until_found, server), _HANGS_SECONDS)),
        )

    def _probe_until_found(self, server: Server) -> None:
        """Probe once; while the server is lost, go on with growing pauses until it answers."""
        known = self._servers.peek(server)
        for pause in chain([_FIRST_PAUSE, _SECOND_PAUSE], repeat(_LONG_PAUSE)):
            if self._probe(server):
                self.answered(server)
            # A server that was dropped from the recent ones is no longer probed.
            if known is None or known is not self._servers.peek(server):
                return
            known.watch.moved()
            if known.lost_at is None or self._wait(pause):
                return


def _watch(known: _Known) -> None:
    """Start probing a server, unless it is being probed."""
    if not known.watch.is_busy:
        known.watch.ask()
