"""TLS inside TLS, needed for a server behind a proxy that is itself reached over TLS.

The standard library cannot do it: SSLContext.wrap_socket uses the descriptor of the socket that it is given,
below that socket's TLS.
"""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

_RECORD = 16 * 2**10
"""The maximum size of a TLS record, in bytes (RFC 8446, 5.1)."""
_Result = TypeVar("_Result")


class NestedTls(socket.socket):
    """A TLS connection over another TLS connection, usable in place of an SSLSocket.

    It is a second descriptor (dup) of the carrier's socket, so that it can be polled and shut down. No lock:
    as with every socket here, one request at a time uses it.
    """

    def __init__(self, carrier: ssl.SSLSocket, context: ssl.SSLContext, hostname: str) -> None:
        """Speak TLS with the server `hostname` over `carrier`, which is closed with this socket."""
        self._carrier = carrier
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._deciphered = b""
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=hostname)
        descriptor = os.dup(carrier.fileno())
        try:
            super().__init__(fileno=descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self.settimeout(carrier.gettimeout())

    def do_handshake(self) -> None:
        """Like SSLSocket.do_handshake."""
        self._carry(self._tls.do_handshake)

    def pending(self) -> int:
        """The number of bytes that were received and wait in buffers above the socket."""
        if not self._deciphered and self._received.pending:
            with suppress(ssl.SSLError):  # part of a record, or an error that the next read raises again
                self._deciphered = self._tls.read(_RECORD)
        return len(self._deciphered) + self._carrier.pending()

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Like SSLSocket.recv_into; 0 at the end, also if the server did not announce it (close_notify)."""
        count = nbytes or len(buffer)
        if self._deciphered:
            piece, self._deciphered = self._deciphered[:count], self._deciphered[count:]
            buffer[: len(piece)] = piece
            return len(piece)
        try:
            # Given a buffer, SSLObject.read returns the number of bytes.
            return int(self._carry(partial(self._tls.read, count, buffer)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return 0

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Like SSLSocket.sendall."""
        left = memoryview(data)
        while left:
            piece = left[:_RECORD]
            left = left[self._carry(partial(self._tls.write, piece)) :]

    def settimeout(self, value: float | None) -> None:
        """Set the timeout of both sockets, in seconds."""
        super().settimeout(value)
        self._carrier.settimeout(value)

    def close(self) -> None:
        """Close both sockets."""
        self._carrier.close()
        super().close()

    def _carry(self, step: Callable[[], _Result]) -> _Result:
        """Run a step of the inner TLS, moving records over the carrier until it has what it needs."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
            else:
                self._flush()
                return result
            # With timeout 0 the carrier raises SSLWantReadError, too.
            if piece := self._carrier.recv(_RECORD):
                self._received.write(piece)
            else:
                self._received.write_eof()

    def _flush(self) -> None:
        if data := self._to_send.read():
            self._carrier.sendall(data)
