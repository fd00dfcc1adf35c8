"""Runs the server: bind, announce, serve, stop."""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from empirical_fs.sandbox.connection import ConnectionProtocol

_KEEP_ALIVE_S = 75


def loopback_address(host: str) -> str:
    """The IP address of `host`, which must be one that other machines cannot reach.

    Raises:
        ValueError: it is neither `localhost` nor a loopback address.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the sandbox serves loopback addresses only, not {host}")
    return address


def bind(address: str, port: int) -> socket.socket:
    """A socket bound to a loopback address; port 0 means any free port.

    Raises:
        OSError: the port is in use, or we have no permission for it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Name the protocol, or asyncio would not recognise TCP and leave Nagle's algorithm on, which costs 40 ms
    # per small answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A sandbox that is restarted at once must not wait until its old connections time out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def host_of(listener: socket.socket) -> str:
    """`ADDRESS:PORT` as it is written in URLs."""
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def serve(app: ASGIApp, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called as soon as clients can connect."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=ConnectionProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    _Server(config, announce).run([listener])


class _Server(uvicorn.Server):
    """uvicorn, but it announces itself, closes open connections when it stops, and exits with status 0."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A slow or stalled body would delay the exit for as long as its client waits.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's method raises the signal again at the end, so that the process would die of it.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
