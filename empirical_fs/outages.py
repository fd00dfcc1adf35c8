"""Which servers are out of reach: known, so that nobody waits to find out again."""

import logging
import threading
import time
from collections.abc import Callable
from itertools import chain, repeat

from empirical_fs.server import Server

_FIRST_PAUSE, _SECOND_PAUSE, _LONG_PAUSE = 1.0, 2.0, 5.0

log = logging.getLogger(__name__)


class Outages:
    """A circuit breaker for each server.

    Whoever gets no answer has the server probed at once: it may be silent about one thing alone. It is lost
    when somebody has asked in vain for as long as one may, and nothing came from it meanwhile for anybody,
    not for the probe either. Then it is probed on, at least every five seconds, until it answers something.
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
            probe: asks a server for anything, within a few seconds, and tells whether it answered.
            wait: waits for so many seconds; ends early, and says so, when all is over.
            clock: tells seconds.
        """
        self._probe = probe
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_at: dict[Server, float] = {}
        self._lost: dict[Server, float] = {}
        self._watched: set[Server] = set()

    def is_lost(self, server: Server) -> bool:
        """Whether it is known to be out of reach."""
        return server in self._lost

    def lost(self) -> dict[str, float]:
        """The hosts that are out of reach, and since how many seconds."""
        with self._lock:
            return {server.host: self._clock() - since for server, since in self._lost.items()}

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
            begins = server not in self._watched
            self._watched.add(server)
        if begins:
            threading.Thread(target=self._watch, args=(server,), name="probe", daemon=True).start()

    def gave_up(self, server: Server, since: float) -> None:
        """Take note that it was asked in vain since that moment of the clock, and will not be any more."""
        with self._lock:
            if server in self._lost or self._has_answered(server, since):
                return
            self._lost[server] = since
        log.warning("%s is out of reach; reads that need it fail at once until it answers", server.host)
        self.unanswered(server, since)

    def _has_answered(self, server: Server, since: float) -> bool:
        return self._answered_at.get(server, float("-inf")) >= since

    def _watch(self, server: Server) -> None:
        pauses = chain([_FIRST_PAUSE, _SECOND_PAUSE], repeat(_LONG_PAUSE))
        while True:
            if self._probe(server):
                self.answered(server)
            with self._lock:
                if server not in self._lost:
                    self._watched.remove(server)
                    return
            if self._wait(next(pauses)):
                return
