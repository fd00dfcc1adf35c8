"""Passes TCP connections on, and keeps all that goes through."""

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.support.ports import listening

_PIECE = 2**16


class RecordingRelay:
    """Listens in place of a server on this machine. The lock guards what was seen, and the connections."""

    def __init__(self, port: int) -> None:
        """Pass on to `port` of 127.0.0.1."""
        self._port = port
        self._lock = threading.Lock()
        self._seen: list[bytes] = []
        self._sockets: list[socket.socket] = []
        self._listener = listening()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def seen(self) -> bytes:
        """All bytes of both directions; those of one direction of a connection are not always together."""
        with self._lock:
            return b"".join(self._seen)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            sockets = [*self._sockets, self._listener]
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                with self._lock:
                    self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                with self._lock:
                    self._seen.append(piece)
                target.sendall(piece)
        # Also if the connection of a process that was killed is reset: the other end would wait for it.
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
