"""Cancels a request from another thread than the one that waits for its bytes."""

import socket
import threading
from collections.abc import Callable


def _nothing() -> None:
    """Does nothing: no function is to be called."""


class Cancellation:
    """Whether a request is still wanted, and the socket that it uses.

    The lock guards both, and the function to call: a socket is only shut down while this request uses it.
    """

    def __init__(self, *, is_awaited: bool = True) -> None:
        """Begin with a request that is wanted, and not under way; `is_awaited` is the attribute's value."""
        self.is_awaited = is_awaited
        """Whether a caller waits for the request, so that it precedes those that only may be needed."""
        self.in_line_since: float | None = None
        """When it joined its server's queue, if the server refused it and it must be sent again."""
        self.refusals = 0
        """How many times in a row the server has refused it."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cancelled = False
        self._on_cancelled: Callable[[], object] = _nothing

    @property
    def is_cancelled(self) -> bool:
        """Whether the request is no longer wanted."""
        return self._is_cancelled

    def attach(self, connected: socket.socket) -> bool:
        """Let `cancel` shut down `connected` until `detach`; returns whether the request is still wanted."""
        with self._lock:
            self._socket = connected
            return not self._is_cancelled

    def detach(self) -> None:
        """Do not touch the socket any more."""
        with self._lock:
            self._socket = None

    def tell(self, on_cancelled: Callable[[], object]) -> None:
        """Call `on_cancelled`, which must not block, when the request is cancelled; now if it already is.

        It replaces the previous function.
        """
        with self._lock:
            self._on_cancelled = on_cancelled
            is_cancelled = self._is_cancelled
        if is_cancelled:
            on_cancelled()

    def stop_telling(self) -> None:
        """Call no function when the request is cancelled."""
        with self._lock:
            self._on_cancelled = _nothing

    def take_over(self, other: "Cancellation") -> None:
        """Take over the running request of `other`: from now on this one cancels it."""
        with other._lock:
            connected, other._socket = other._socket, None
        if connected is not None and not self.attach(connected):
            self.cancel()

    def cancel(self) -> None:
        """Cancel the request: a thread that waits for its bytes finds the connection closed."""
        with self._lock:
            self._is_cancelled = True
            if self._socket is not None:
                try:
                    # Not SSLSocket.shutdown, after which a reading thread would take encrypted bytes for
                    # the body.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    self._socket = None  # it is closed already
            on_cancelled = self._on_cancelled
        on_cancelled()
