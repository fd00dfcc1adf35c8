"""Waits for many sockets at once, in the thread that calls."""

import os
import select
import socket
import weakref
from typing import Generic, TypeVar

_Waiting = TypeVar("_Waiting")

_ONCE = select.EPOLLIN | select.EPOLLONESHOT
_FOREVER = -1.0


class Sockets(Generic[_Waiting]):
    """Sockets, each with what waits for it. Sockets may be added while a thread waits in `wait`.

    A socket stays known to the system after its event, so that the next wait for it takes one call. One that
    is closed is forgotten by the system.
    """

    def __init__(self) -> None:
        """Begin without sockets."""
        self._epoll = select.epoll()
        self._of: dict[int, _Waiting] = {}
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self._bell).atexit = False
        # Each write is an event, so that nobody has to read what was written.
        self._epoll.register(self._bell, select.EPOLLIN | select.EPOLLET)

    def __bool__(self) -> bool:
        """Whether a socket is waited for."""
        return bool(self._of)

    def add(self, connected: socket.socket, waiting: _Waiting) -> None:
        """Have `wait` return `waiting` once, when the socket has bytes to read or is at its end.

        Raises:
            OSError, ValueError: the socket is closed, or the system has no memory for another one.
        """
        number = connected.fileno()
        self._of[number] = waiting
        try:
            try:
                self._epoll.modify(number, _ONCE)
            except FileNotFoundError:
                self._epoll.register(number, _ONCE)
        except BaseException:
            self.remove(number, waiting)
            raise

    def remove(self, number: int, waiting: _Waiting) -> None:
        """Forget that `waiting` waits for the socket with this file descriptor."""
        if self._of.get(number) is waiting:
            self._of.pop(number, None)

    def wait(self, seconds: float | None = None) -> list[_Waiting]:
        """What waited for sockets that can be read now; waits until there is one, or `wake` was called."""
        events = self._epoll.poll(_FOREVER if seconds is None else seconds)
        came = (self._of.pop(number, None) for number, _ in events)
        return [each for each in came if each is not None]

    def wake(self) -> None:
        """Have `wait` return, now or when it is called next."""
        os.eventfd_write(self._bell, 1)
