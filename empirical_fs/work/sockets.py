"""Waits for many sockets at once, in the thread that calls."""

import os
import select
import selectors
import socket
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

_Waiting = TypeVar("_Waiting")

_WAKES_READ = 4096


class Poll(Protocol):
    """Waits for file descriptors. They may be added while a thread is in `wait`."""

    def add(self, number: int) -> None:
        """Have `wait` return this file descriptor once, when it can be read or is at its end.

        Raises:
            OSError, ValueError: it is closed, or the system has no memory for another one.
        """

    def wait(self, seconds: float | None) -> Sequence[int]:
        """Those that can be read now; waits until there is one, or `wake` was called."""

    def wake(self) -> None:
        """Have `wait` return, now or when it is called next."""


class Epoll:
    """By epoll(7), which only Linux has.

    A file descriptor stays known to the system after its event, so that the next wait for it takes one call.
    One that is closed is forgotten by the system.
    """

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._epoll = select.epoll()
        self._once = select.EPOLLIN | select.EPOLLONESHOT
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self._bell).atexit = False
        # Each write is an event, so that nobody has to read what was written.
        self._epoll.register(self._bell, select.EPOLLIN | select.EPOLLET)

    def add(self, number: int) -> None:
        """As `Poll`."""
        try:
            self._epoll.modify(number, self._once)
        except FileNotFoundError:
            self._epoll.register(number, self._once)

    def wait(self, seconds: float | None) -> Sequence[int]:
        """As `Poll`."""
        return [number for number, _ in self._epoll.poll(seconds)]

    def wake(self) -> None:
        """As `Poll`."""
        os.eventfd_write(self._bell, 1)


class AnyPoll:
    """By what the system has, as kqueue(2) on macOS."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = os.pipe()
        for each in (self._bell, self._ringer):
            os.set_blocking(each, False)
            weakref.finalize(self, os.close, each).atexit = False
        self._selector.register(self._bell, selectors.EVENT_READ)

    def add(self, number: int) -> None:
        """As `Poll`."""
        self._leave(number)  # one that was closed, and whose number is used again
        self._selector.register(number, selectors.EVENT_READ)

    def wait(self, seconds: float | None) -> Sequence[int]:
        """As `Poll`."""
        came = [key.fd for key, _ in self._selector.select(seconds)]
        if self._bell in came:
            came.remove(self._bell)
            os.read(self._bell, _WAKES_READ)
        for each in came:
            self._leave(each)
        return came

    def wake(self) -> None:
        """As `Poll`."""
        with suppress(BlockingIOError):  # it was woken so often that one more changes nothing
            os.write(self._ringer, b"\0")

    def _leave(self, number: int) -> None:
        with suppress(KeyError, ValueError, OSError):
            self._selector.unregister(number)


class Sockets(Generic[_Waiting]):
    """Sockets, each with what waits for it. Sockets may be added while a thread waits in `wait`."""

    def __init__(self, poll: Poll | None = None) -> None:
        """Begin without sockets; `poll` waits for them, by default what is best on this system."""
        self._poll = poll or (Epoll() if hasattr(select, "epoll") else AnyPoll())
        self._of: dict[int, _Waiting] = {}

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
            self._poll.add(number)
        except BaseException:
            self.remove(number, waiting)
            raise

    def remove(self, number: int, waiting: _Waiting) -> None:
        """Forget that `waiting` waits for the socket with this file descriptor."""
        if self._of.get(number) is waiting:
            self._of.pop(number, None)

    def wait(self, seconds: float | None = None) -> list[_Waiting]:
        """What waited for sockets that can be read now; waits until there is one, or `wake` was called."""
        came = (self._of.pop(number, None) for number in self._poll.wait(seconds))
        return [each for each in came if each is not None]

    def wake(self) -> None:
        """Have `wait` return, now or when it is called next."""
        self._poll.wake()
