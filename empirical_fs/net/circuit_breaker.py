"""Which servers are out of reach: known, so that nobody waits to find out again."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat

from empirical_fs.server import Server
from empirical_fs.work.jobs import Job

_FIRST_PAUSE, _SECOND_PAUSE, _LONG_PAUSE = 1.0, 2.0, 5.0
_FIRST_LET_THROUGH, _LAST_LET_THROUGH = 5.0, 40.0
"""Whoever is let through to a server that is silent waits for as long as a read may."""
_HANGS_SECONDS = 60.0
"""Without an end of a probe for so long, which is more than its deadline, it hangs."""

log = logging.getLogger(__name__)


class Outages:
    """A circuit breaker for each server.

    Whoever gets no answer has the server probed at once: it may be silent about one thing alone. It is lost
    when somebody has asked in vain for as long as one may, and nothing came from it meanwhile for anybody,
    not for the probe either. Then it is probed on, at least every five seconds, until it answers something.
    Now and then somebody who asks is let through, too: the probe may be what it does not answer.
    The lock guards all that is known; it is never held while a server is asked.
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
        self._answered_at: dict[Server, float] = {}
        self._lost: dict[Server, float] = {}
        self._let_through: dict[Server, tuple[float, float]] = {}
        """When somebody was let through last, or it was lost, and how many seconds later somebody is next."""
        self._watches: dict[Server, Job] = {}

    def is_lost(self, server: Server) -> bool:
        """Whether it is known to be out of reach; then it is probed."""
        if server not in self._lost:
            return False
        self._watch(server)
        return True

    def lets_through(self, server: Server) -> bool:
        """Whether whoever asks a server that is lost is to do so all the same, for all others."""
        with self._lock:
            now = self._clock()
            at, pause = self._let_through.get(server, (now, _FIRST_LET_THROUGH))
            if now - at < pause:
                return False
            self._let_through[server] = (now, min(pause * 2, _LAST_LET_THROUGH))
            return True

    def lost(self) -> dict[str, float]:
        """The hosts that are out of reach, and since how many seconds."""
        with self._lock:
            lost = dict(self._lost)
        for server in lost:
            self._watch(server)
        return {server.host: self._clock() - since for server, since in lost.items()}

    def answered(self, server: Server) -> None:
        """Take note that it has just answered something."""
        with self._lock:
            self._answered_at[server] = self._clock()
            was_lost = server in self._lost
            self._lost.pop(server, None)
        if was_lost:
            log.warning("%s answers again", server.host)

    def unanswered(self, server: Server, since: float) -> None:
        """Take note that a request of that moment of the clock came to nothing."""
        with self._lock:
            if self._has_answered(server, since):
                return
        self._watch(server)

    def gave_up(self, server: Server, since: float) -> None:
        """Take note that it was asked in vain since that moment of the clock, and will not be any more."""
        with self._lock:
            if server in self._lost or self._has_answered(server, since):
                return
            self._lost[server] = since
            self._let_through[server] = (self._clock(), _FIRST_LET_THROUGH)
        log.warning("%s is out of reach; reads that need it fail at once until it answers", server.host)
        self._job(server).ask()

    def _has_answered(self, server: Server, since: float) -> bool:
        return self._answered_at.get(server, float("-inf")) >= since

    def _watch(self, server: Server) -> None:
        """See to it that somebody probes a server."""
        job = self._job(server)
        if not job.is_busy:
            job.ask()

    def _job(self, server: Server) -> Job:
        with self._lock:
            job = self._watches.get(server)
            if job is None:
                probing = partial(self._probe_until_found, server)
                job = self._watches[server] = Job("probe", probing, _HANGS_SECONDS)
            return job

    def _probe_until_found(self, server: Server) -> None:
        for pause in chain([_FIRST_PAUSE, _SECOND_PAUSE], repeat(_LONG_PAUSE)):
            if self._probe(server):
                self.answered(server)
            self._job(server).moved()
            if server not in self._lost or self._wait(pause):
                return
