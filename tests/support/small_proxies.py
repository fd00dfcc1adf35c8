"""Small proxies, which connect to one server whatever they are asked for."""

import socket
import ssl
import threading
from base64 import b64encode
from contextlib import suppress

from tests.support.wire import Listening

USER, PASSWORD = "me", "se:cret ü"


class HttpProxy(Listening):
    """A proxy of HTTP that connects to `target`, whatever it is asked for; it speaks TLS by `encryption`."""

    def __init__(self, target: str, encryption: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        self.refusal: bytes | None = None
        """What it answers in place of connecting."""
        self._target = int(target.rpartition(":")[2])
        self._encryption = encryption
        super().__init__()
        if encryption:
            self.origin = self.origin.replace("http:", "https:")

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._encryption is None:
                self._forward(connection)
                return
            with self._encryption.wrap_socket(connection, server_side=True) as encrypted:
                self._forward(encrypted)

    def _forward(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return
            head += byte
        self.heads.append(head)
        if self.refusal is not None:
            connection.sendall(self.refusal)
            connection.recv(1)  # until the client leaves
            return
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            if head.startswith(b"CONNECT "):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head)
            carry_both(connection, server)


class Socks(Listening):
    """A SOCKS5 proxy (RFC 1928) that connects to `target`, whatever name it is asked for."""

    def __init__(self, target: int, *, wants_name: bool = False, code: int = 0) -> None:
        self.asked: list[bytes] = []
        self.code = code
        """What it replies; 0 where it has connected."""
        self._target = target
        self._wants_name = wants_name
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            methods = connection.recv(10)[2:]
            if self._wants_name and 2 not in methods:
                connection.sendall(b"\x05\xff")
                return
            connection.sendall(b"\x05\x02" if self._wants_name else b"\x05\x00")
            if self._wants_name:
                name, password = USER.encode(), PASSWORD.encode()
                wanted = b"\x01" + bytes([len(name)]) + name + bytes([len(password)]) + password
                is_right = connection.recv(600) == wanted
                connection.sendall(b"\x01\x00" if is_right else b"\x01\x01")
                if not is_right:
                    return
            request = connection.recv(300)
            self.asked.append(request[5 : 5 + request[4]])
            if self.code:
                connection.sendall(bytes([5, self.code, 0, 1]))
                return
            # Its own address may be a name, and come in pieces.
            for byte in b"\x05\x00\x00\x03\x05proxy\x00\x01":
                connection.sendall(bytes([byte]))
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                carry_both(connection, server)


def basic() -> bytes:
    """The value of Proxy-Authorization for the user and the password."""
    return b"Basic " + b64encode(f"{USER}:{PASSWORD}".encode())


def carry_both(one: socket.socket, other: socket.socket) -> None:
    """Carry what comes from either to the other, until one has ended."""
    back = threading.Thread(target=_carry, args=(other, one))
    back.start()
    _carry(one, other)
    back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            socket.socket.shutdown(end, socket.SHUT_RDWR)
