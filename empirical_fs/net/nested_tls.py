"""TLS inside of TLS, as to a server behind a proxy that is itself spoken to by TLS.

The standard library has none: SSLContext.wrap_socket takes the descriptor below whatever it is given.
"""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

_RECORD = 16 * 2**10
"""Bytes of a record of TLS at most (RFC 8446, 5.1)."""
_Result = TypeVar("_Result")


class NestedTls(socket.socket):
    """A connection by TLS over another one by TLS, for whoever takes an SSLSocket.

    It is the same socket as the other one by a descriptor of its own, so that both can be waited for and shut
    down. No lock: as with every socket here, one request at a time has it.
    """

    def __init__(self, carrier: ssl.SSLSocket, context: ssl.SSLContext, hostname: str) -> None:
        """Speak over `carrier`, which is closed with this one, to the server that is called `hostname`."""
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
        """As SSLSocket's."""
        self._carry(self._tls.do_handshake)

    def pending(self) -> int:
        """Bytes that have come, and are no longer in the socket."""
        if not self._deciphered and self._received.pending:
            with suppress(ssl.SSLError):  # of a record a part has come; of what else it is, who reads hears
                self._deciphered = self._tls.read(_RECORD)
        return len(self._deciphered) + self._carrier.pending()

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As SSLSocket's: 0 at the end, also where it was not announced."""
        count = nbytes or len(buffer)
        if self._deciphered:
            piece, self._deciphered = self._deciphered[:count], self._deciphered[count:]
            buffer[: len(piece)] = piece
            return len(piece)
        try:
            # An SSLObject that is given a buffer says how many bytes it has read.
            return int(self._carry(partial(self._tls.read, count, buffer)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return 0

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As SSLSocket's."""
        left = memoryview(data)
        while left:
            piece = left[:_RECORD]
            left = left[self._carry(partial(self._tls.write, piece)) :]

    def settimeout(self, value: float | None) -> None:
        """As that of every socket."""
        super().settimeout(value)
        self._carrier.settimeout(value)

    def close(self) -> None:
        """End both."""
        self._carrier.close()
        super().close()

    def _carry(self, step: Callable[[], _Result]) -> _Result:
        """What a step of the inner TLS comes to, once there is what it needs."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
            else:
                self._flush()
                return result
            # Where this one must not wait, it raises the same.
            if piece := self._carrier.recv(_RECORD):
                self._received.write(piece)
            else:
                self._received.write_eof()

    def _flush(self) -> None:
        if data := self._to_send.read():
            self._carrier.sendall(data)
