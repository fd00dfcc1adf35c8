"""Ends a request from another thread than the one that waits for its bytes."""

import socket
import threading
from collections.abc import Callable


def _nothing() -> None:
    """Tells nobody."""


class Cancellation:
    """Whether a request is still wanted, and the socket that it came by.

    The lock guards both, and who is told: a socket is shut down only while it is this request's own.
    """

    def __init__(self, *, is_awaited: bool = True) -> None:
        """The request is wanted, and not under way; `is_awaited`, whether somebody waits for it by now."""
        self.is_awaited = is_awaited
        """Whether somebody waits for it, so that it goes before those that are only likely to be wanted."""
        self.in_line_since: float | None = None
        """When it came into the line of its server, if it was refused there and is to come again."""
        self.refusals = 0
        """How often it was refused there in a row."""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cancelled = False
        self._on_cancelled: Callable[[], object] = _nothing

    @property
    def is_cancelled(self) -> bool:
        """Whether the request is no longer wanted."""
        return self._is_cancelled

    def attach(self, connected: socket.socket) -> bool:
        """Put `connected` at our disposal until `detach`, and say whether the request is still wanted."""
        with self._lock:
            self._socket = connected
            return not self._is_cancelled

    def detach(self) -> None:
        """Leave the socket alone from now on."""
        with self._lock:
            self._socket = None

    def tell(self, on_cancelled: Callable[[], object]) -> None:
        """Have `on_cancelled`, which does not wait, called when the request is cancelled, at once if it is.

        It takes the place of the one before.
        """
        with self._lock:
            self._on_cancelled = on_cancelled
            is_cancelled = self._is_cancelled
        if is_cancelled:
            on_cancelled()

    def stop_telling(self) -> None:
        """Tell nobody any more."""
        with self._lock:
            self._on_cancelled = _nothing

    def take_over(self, other: "Cancellation") -> None:
        """End from now on, in place of `other`, the request that is under way by it."""
        with other._lock:
            connected, other._socket = other._socket, None
        if connected is not None and not self.attach(connected):
            self.cancel()

    def cancel(self) -> None:
        """End the request: whoever waits for its bytes finds that the connection is closed."""
        with self._lock:
            self._is_cancelled = True
            if self._socket is not None:
                try:
                    # Not SSLSocket's own, after which a reader would take what is encrypted for the body.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    self._socket = None  # it is closed already
            on_cancelled = self._on_cancelled
        on_cancelled()
