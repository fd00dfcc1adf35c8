"""One client's TCP connection, with the operations that faults need."""

import asyncio
import socket
import struct
from typing import Any, NoReturn, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """The client has closed the connection, so no answer is needed."""


class Wire:
    """A transport that can hold back what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Write to `transport`, at first without holding back."""
        self._transport = transport
        self._held: bytearray | None = None

    def __getattr__(self, name: str) -> Any:
        """Pass all other attributes on to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, or buffer it after `hold`."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held += data

    def hold(self) -> None:
        """Buffer what is written from now on."""
        self._held = bytearray()

    def let_go(self) -> bytes:
        """Stop buffering, and return the buffered data, which the caller must write."""
        held, self._held = self._held or b"", None
        return bytes(held)


class Connection:
    """The connection of a request, which a handler can pause, close or reset."""

    def __init__(self, wire: Wire) -> None:
        """Control the connection of `wire`."""
        self.wire = wire
        self._lost = asyncio.Event()

    def lost(self) -> None:
        """Record that the connection is lost."""
        self._lost.set()

    async def check(self) -> None:
        """Raise ClientGone if the connection is lost."""
        if self.wire.is_closing():
            # While a body is sent without a pause, the event loop cannot call `lost`: give it a chance.
            await asyncio.sleep(0)
        if self._lost.is_set():
            raise ClientGone

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, or until the client leaves.

        Raises:
            ClientGone: the client left meanwhile.
        """
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            return
        raise ClientGone

    async def outlast(self) -> NoReturn:
        """Wait until the client leaves, and raise ClientGone."""
        await self._lost.wait()
        raise ClientGone

    async def close(self) -> NoReturn:
        """Send what was written so far, close the connection, and raise ClientGone."""
        self.wire.close()
        await self.outlast()

    async def reset(self) -> NoReturn:
        """Reset the connection (the client gets ECONNRESET), and raise ClientGone."""
        # The client may have closed it a moment ago, and then it has no socket any more.
        if not self.wire.is_closing():
            peer = self.wire.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
            self.wire.abort()
        await self.outlast()


class ConnectionProtocol(H11Protocol):
    """uvicorn's protocol, but each request has its connection in `scope["state"]["connection"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Start to serve a client."""
        wire = Wire(transport)
        super().connection_made(cast("asyncio.Transport", wire))
        self._connection = Connection(wire)
        self.app_state = {**self.app_state, "connection": self._connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake handlers that wait on this connection; they get ClientGone."""
        super().connection_lost(exc)
        self._connection.lost()
