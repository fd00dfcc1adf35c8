"""Which servers are out of reach: known, so that nobody waits to find out again."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

from empirical_fs.net.recent import Recent
from empirical_fs.server import Server
from empirical_fs.work.jobs import Job

_FIRST_PAUSE, _SECOND_PAUSE, _LONG_PAUSE = 1.0, 2.0, 5.0
_FIRST_LET_THROUGH, _LAST_LET_THROUGH = 5.0, 40.0
"""Whoever is let through to a server that is silent waits for as long as a read may."""
_HANGS_SECONDS = 60.0
"""Without an end of a probe for so long, which is more than its deadline, it hangs."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of one server. Moments are those of the clock."""

    watch: Job
    answered_at: float = float("-inf")
    lost_at: float | None = None
    """Since when it is out of reach, if it is."""
    let_through_at: float = float("-inf")
    """When somebody was let through last, or it was lost."""
    let_through_pause: float = _FIRST_LET_THROUGH
    """How many seconds later somebody is next."""


class Outages:
    """A circuit breaker for each server, of those that were asked last.

    Whoever gets no answer has the server probed at once: it may be silent about one thing alone. It is lost
    when somebody has asked in vain for as long as one may, and nothing came from it meanwhile for anybody,
    not for the probe either. Then it is probed on, at least every five seconds, until it answers something.
    Now and then somebody who asks is let through, too: the probe may be what it does not answer.
    The lock guards what is known of each; it is never held while a server is asked.
    """

    def __init__(
        self,
        probe: Callable[[Server], bool],
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know of no outage.

        Args:
            probe: asks a server for what it answered before, within a few seconds; whether it answers.
            wait: waits for so many seconds; ends early, and says so, when all is over.
            clock: tells seconds.
        """
        self._probe = probe
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._servers = Recent[Server, _Known]()

    def is_lost(self, server: Server) -> bool:
        """Whether it is known to be out of reach; then it is probed."""
        known = self._servers.peek(server)
        if known is None or known.lost_at is None:
            return False
        _watch(known)
        return True

    def lets_through(self, server: Server) -> bool:
        """Whether whoever asks a server that is lost is to do so all the same, for all others."""
        known = self._known(server)
        with self._lock:
            now = self._clock()
            if now - known.let_through_at < known.let_through_pause:
                return False
            known.let_through_at = now
            known.let_through_pause = min(known.let_through_pause * 2, _LAST_LET_THROUGH)
            return True

    def lost(self) -> dict[str, float]:
        """The hosts that are out of reach, and since how many seconds."""
        lost = [(server, known, known.lost_at) for server, known in self._servers.items()]
        found = {}
        for server, known, since in lost:
            if since is not None:
                _watch(known)
                found[server.host] = self._clock() - since
        return found

    def answered(self, server: Server) -> None:
        """Take note that it has just answered something."""
        known = self._known(server)
        with self._lock:
            known.answered_at = self._clock()
            was_lost, known.lost_at = known.lost_at is not None, None
        if was_lost:
            log.warning("%s answers again", server.host)

    def unanswered(self, server: Server, since: float) -> None:
        """Take note that a request of that moment of the clock came to nothing."""
        known = self._known(server)
        if known.answered_at < since:
            _watch(known)

    def gave_up(self, server: Server, since: float) -> None:
        """Take note that it was asked in vain since that moment of the clock, and will not be any more."""
        known = self._known(server)
        with self._lock:
            if known.lost_at is not None or known.answered_at >= since:
                return
            known.lost_at = since
            known.let_through_at, known.let_through_pause = self._clock(), _FIRST_LET_THROUGH
        log.warning("%s is out of reach; reads that need it fail at once until it answers", server.host)
        known.watch.ask()

    def _known(self, server: Server) -> _Known:
        """What is known of a server, which is used by that."""
        return self._servers.get_or_put(
            server,
            lambda: _Known(Job("probe", partial(self._probe_until_found, server), _HANGS_SECONDS)),
        )

    def _probe_until_found(self, server: Server) -> None:
        known = self._servers.peek(server)
        for pause in chain([_FIRST_PAUSE, _SECOND_PAUSE], repeat(_LONG_PAUSE)):
            if self._probe(server):
                self.answered(server)
            # One of which nothing is known any more is not asked for, either.
            if known is None or known is not self._servers.peek(server):
                return
            known.watch.moved()
            if known.lost_at is None or self._wait(pause):
                return


def _watch(known: _Known) -> None:
    """See to it that somebody probes a server."""
    if not known.watch.is_busy:
        known.watch.ask()
