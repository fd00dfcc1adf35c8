"""One client's TCP connection, as far as misbehaviour has to reach it."""

import asyncio
import socket
import struct
from typing import Any, NoReturn, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """Nobody is at the other end any more: there is nothing left to answer."""


class Wire:
    """A transport on which what is written can be held back."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Write to `transport`, for now at once."""
        self._transport = transport
        self._held: bytearray | None = None

    def __getattr__(self, name: str) -> Any:
        """Whatever else a transport does."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, or keep it while the wire is held."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held += data

    def hold(self) -> None:
        """Keep what is written from now on."""
        self._held = bytearray()

    def let_go(self) -> bytes:
        """What was kept, which is for the caller to write; nothing is kept from now on."""
        held, self._held = self._held or b"", None
        return bytes(held)


class Connection:
    """What a handler may do to the connection that its request came by."""

    def __init__(self, wire: Wire) -> None:
        """Reach the connection of `wire`."""
        self.wire = wire
        self._lost = asyncio.Event()

    def lost(self) -> None:
        """Note that the connection is no more."""
        self._lost.set()

    async def check(self) -> None:
        """Raise ClientGone if the connection is no more."""
        if self.wire.is_closing():
            # A body that is sent without a pause leaves the loop no time to tell that it is lost.
            await asyncio.sleep(0)
        if self._lost.is_set():
            raise ClientGone

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than the client does.

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
        """Send what was written so far, close, and raise ClientGone."""
        self.wire.close()
        await self.outlast()

    async def reset(self) -> NoReturn:
        """Drop the connection such that the client's kernel reports a reset, and raise ClientGone."""
        peer = self.wire.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.wire.abort()
        await self.outlast()


class ConnectionProtocol(H11Protocol):
    """uvicorn's protocol, which hands each request its connection as `scope["state"]["connection"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Begin to serve a client."""
        wire = Wire(transport)
        super().connection_made(cast("asyncio.Transport", wire))
        self._connection = Connection(wire)
        self.app_state = {**self.app_state, "connection": self._connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever answers a client that is not there."""
        super().connection_lost(exc)
        self._connection.lost()
