"""A TCP forwarder between client and server, like a cable that a test can cut, unplug and plug in again."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.support.ports import unused_port

_ADDRESS = "127.0.0.1"
_PATIENCE = 10.0
_PIECE = 64 * 2**10
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Line:
    """One connection through the cable: that of a client, and that to the server once it is made."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.ends = [client]
        self.open = asyncio.Event()
        self.is_severed = False

    def reset(self) -> None:
        """Close both connections so that each peer gets a TCP reset."""
        for end in self.ends:
            if not end.transport.is_closing():
                peer = end.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            # Python 3.11.2 of Debian 12 has forgotten what to abort, once TLS has been closed from both ends.
            with suppress(AttributeError):
                end.transport.abort()


class Cable:
    """Forwards TCP connections from `host` to a server; until `plug` is called, it refuses them.

    Any thread may call the methods: an event loop in a thread of its own holds all state.
    """

    def __init__(self, encryption: ssl.SSLContext | None = None) -> None:
        """Use TLS with the clients if `encryption` is given; never with the server."""
        self._encryption = encryption
        # Bound, but never listening: it keeps the port from other programs while connections are refused.
        self._placeholder = _bound_to(unused_port())
        self._port = int(self._placeholder.getsockname()[1])
        self.host = f"{_ADDRESS}:{self._port}"
        self.url = f"{'https' if encryption else 'http'}://{self.host}"
        self._server_port = 0
        self._listener: asyncio.Server | None = None
        self._is_dark = False
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable")
        self._thread.start()

    @property
    def connections(self) -> int:
        """The number of connected clients."""
        return len(self._lines)

    def plug(self, server: str | None = None) -> None:
        """Accept connections and forward bytes, also those held back; `server` is the URL of a new server."""
        if server is not None:
            self._server_port = int(server.rpartition(":")[2])

        async def plug() -> None:
            self._is_dark = False
            for line in self._lines:
                if not line.is_severed:
                    line.open.set()
            if self._listener is None:
                self._listener = await asyncio.start_server(
                    self._carry, sock=_bound_to(self._port), ssl=self._encryption
                )

        asyncio.run_coroutine_threadsafe(plug(), self._loop).result(_PATIENCE)

    def cut(self) -> None:
        """Reset every connection; new ones are forwarded."""
        self._do(self._reset_all)

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones until `plug` is called."""

        def refuse() -> None:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            self._reset_all()

        self._do(refuse)

    def darken(self) -> None:
        """Accept connections, but forward no bytes on any connection until `plug` is called."""

        def darken() -> None:
            self._is_dark = True
            for line in self._lines:
                line.open.clear()

        self._do(darken)

    def sever(self) -> None:
        """Never again forward bytes on the present connections; new ones are forwarded."""

        def sever() -> None:
            for line in self._lines:
                line.is_severed = True
                line.open.clear()

        self._do(sever)

    def close(self) -> None:
        """Reset every connection, and release the port."""
        self.refuse()

        async def finish() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), self._loop).result(_PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        self._placeholder.close()

    def _do(self, action: Callable[[], None]) -> None:
        async def do() -> None:
            action()
            await asyncio.sleep(0)  # an aborted connection is closed in the loop's next round

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(_PATIENCE)

    def _reset_all(self) -> None:
        for line in self._lines:
            line.reset()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        line = _Line(writer)
        self._tasks.add(task)
        self._lines.add(line)
        try:
            if not self._is_dark:
                line.open.set()
            await line.open.wait()
            with suppress(ConnectionError):
                server_reader, server_writer = await asyncio.open_connection(_ADDRESS, self._server_port)
                line.ends.append(server_writer)
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(line, reader, server_writer))
                    group.create_task(_pump(line, server_reader, writer))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            line.reset()
            self._lines.discard(line)
            self._tasks.discard(task)


async def _pump(line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        piece = await reader.read(_PIECE)
        await line.open.wait()
        if not piece:
            with suppress(OSError):  # the other end has closed its connection at the same time
                if writer.can_write_eof():
                    writer.write_eof()
                else:
                    writer.close()  # TLS cannot close one direction only
            return
        writer.write(piece)
        await writer.drain()


def _bound_to(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((_ADDRESS, port))
    return bound


@contextmanager
def laid(encryption: ssl.SSLContext | None = None) -> Iterator[Cable]:
    """A cable that is closed afterwards; it uses TLS with the clients if `encryption` is given."""
    cable = Cable(encryption)
    try:
        yield cable
    finally:
        cable.close()
