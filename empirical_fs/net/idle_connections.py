"""The connections that are kept for the next request: for how long, and how many."""

from collections import OrderedDict
from collections.abc import Callable
from http.client import HTTPConnection

from empirical_fs.clock import aging_clock
from empirical_fs.net.proxies import Route

_KEPT_SECONDS = 50.0
"""Servers commonly keep an idle connection for 60 seconds and more, whether this machine sleeps or not."""


class IdleConnections:
    """Those that are idle, by their routes. Not safe between threads; its owner serialises.

    It closes none: that may take a while.
    """

    def __init__(self, most: int, clock: Callable[[], float] = aging_clock) -> None:
        """Keep `most` of them, to whatever servers; `clock` tells seconds."""
        self._most = most
        self._clock = clock
        self._of: dict[Route, list[HTTPConnection]] = {}
        """Those of a route, the one that was used last at the end."""
        self._since: OrderedDict[HTTPConnection, tuple[Route, float]] = OrderedDict()
        """All of them, the one that has been idle for longest first."""

    def put(self, route: Route, connection: HTTPConnection) -> list[HTTPConnection]:
        """Keep a connection; those that are to be closed, for they are too many or too old."""
        now = self._clock()
        self._of.setdefault(route, []).append(connection)
        self._since[connection] = (route, now)
        over = []
        while self._since:
            oldest, (of, since) = next(iter(self._since.items()))
            if len(self._since) <= self._most and now - since < _KEPT_SECONDS:
                break
            self._remove(oldest, of)
            over.append(oldest)
        return over

    def take(self, route: Route) -> tuple[HTTPConnection | None, list[HTTPConnection]]:
        """The connection of a route that was used last, if it is young; and those that are to be closed."""
        known = self._of.get(route)
        if not known:
            return None, []
        connection = known[-1]
        _, since = self._since[connection]
        if self._clock() - since >= _KEPT_SECONDS:
            # The others are older still.
            return None, self.drop(route)
        self._remove(connection, route)
        return connection, []

    def drop(self, route: Route) -> list[HTTPConnection]:
        """Keep none of a route; those that are to be closed."""
        dropped = self._of.pop(route, [])
        for connection in dropped:
            del self._since[connection]
        return dropped

    def drop_all(self) -> list[HTTPConnection]:
        """Keep none; those that are to be closed."""
        dropped = list(self._since)
        self._of.clear()
        self._since.clear()
        return dropped

    def _remove(self, connection: HTTPConnection, route: Route) -> None:
        del self._since[connection]
        self._of[route].remove(connection)
        if not self._of[route]:
            del self._of[route]
