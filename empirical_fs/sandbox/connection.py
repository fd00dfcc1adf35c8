"""One client's TCP connection, as far as misbehaviour has to reach it."""

import asyncio
import socket
import struct
from typing import NoReturn

from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class ClientGone(Exception):
    """Nobody is at the other end any more: there is nothing left to answer."""


class Connection:
    """What a handler may do to the connection that its request came by."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Reach the connection of `transport`."""
        self._transport = transport
        self._lost = asyncio.Event()

    def lost(self) -> None:
        """Note that the connection is no more."""
        self._lost.set()

    def check(self) -> None:
        """Raise ClientGone if the connection is no more."""
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

    async def close(self) -> NoReturn:
        """Send what was written so far, close, and raise ClientGone."""
        self._transport.close()
        await self._lost.wait()
        raise ClientGone

    async def reset(self) -> NoReturn:
        """Drop the connection such that the client's kernel reports a reset, and raise ClientGone."""
        peer = self._transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self._transport.abort()
        await self._lost.wait()
        raise ClientGone


class ConnectionProtocol(H11Protocol):
    """uvicorn's protocol, which hands each request its connection as `scope["state"]["connection"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
        """Begin to serve a client."""
        super().connection_made(transport)
        self._connection = Connection(transport)
        self.app_state = {**self.app_state, "connection": self._connection}

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever answers a client that is not there."""
        super().connection_lost(exc)
        self._connection.lost()
