"""The idle connections that are kept for later requests: how many, and for how long."""

import socket
from collections import OrderedDict
from collections.abc import Callable

from empirical_fs.clock import aging_clock
from empirical_fs.net.proxies import Route

_KEPT_SECONDS = 50.0
"""Servers commonly keep an idle connection for 60 seconds or more; time in suspend counts, too."""


class IdleConnections:
    """The idle connections of each route. Not thread-safe: the owner holds a lock.

    It closes none, which may take a while: it returns those that the owner must close without the lock.
    """

    def __init__(self, most: int, clock: Callable[[], float] = aging_clock) -> None:
        """Keep at most `most` in all; `clock` gives seconds."""
        self._most = most
        self._clock = clock
        self._of: dict[Route, list[socket.socket]] = {}
        """The connections of each route, the most recently used last."""
        self._since: OrderedDict[socket.socket, tuple[Route, float]] = OrderedDict()
        """All connections, the one that has been idle for longest first."""

    def put(self, route: Route, connection: socket.socket) -> list[socket.socket]:
        """Keep a connection; returns those to close, which are too many or too old."""
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

    def take(self, route: Route) -> tuple[socket.socket | None, list[socket.socket]]:
        """The most recently used connection of a route, if it is young enough, and those to close."""
        known = self._of.get(route)
        if not known:
            return None, []
        connection = known[-1]
        _, since = self._since[connection]
        if self._clock() - since >= _KEPT_SECONDS:
            # The others are even older.
            return None, self.drop(route)
        self._remove(connection, route)
        return connection, []

    def drop(self, route: Route) -> list[socket.socket]:
        """Forget all connections of a route; returns them, to be closed."""
        dropped = self._of.pop(route, [])
        for connection in dropped:
            del self._since[connection]
        return dropped

    def drop_all(self) -> list[socket.socket]:
        """Forget all connections; returns them, to be closed."""
        dropped = list(self._since)
        self._of.clear()
        self._since.clear()
        return dropped

    def _remove(self, connection: socket.socket, route: Route) -> None:
        del self._since[connection]
        self._of[route].remove(connection)
        if not self._of[route]:
            del self._of[route]
