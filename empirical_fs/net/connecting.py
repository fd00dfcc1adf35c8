"""Connects to a server by name: one shared look-up, then its addresses in parallel (RFC 8305)."""

import errno
import math
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import Any

from empirical_fs.errors import UnsafeUrl
from empirical_fs.net.addresses import Permit
from empirical_fs.net.lru_table import LruTable
from empirical_fs.server import Server

_ATTEMPT_DELAY = 0.25
"""Seconds after which the next address is tried in parallel (RFC 8305, 5)."""
_MILLISECONDS = 1000


class ResolverSilent(TimeoutError):
    """No name server resolved the name in time."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a name, as getaddrinfo gives it."""

    family: int
    kind: int
    protocol: int
    address: Any

    @property
    def text(self) -> str:
        """The address without its port."""
        return str(self.address[0])


class Connector:
    """Makes connections to servers; it tries the address that worked before first.

    The lock guards the table of look-ups under way.
    """

    def __init__(self, permit: Permit) -> None:
        """Connect only to addresses that `permit` permits."""
        self._permit = permit
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], Future[list[Place]]] = {}
        self._worked = LruTable[Server, str]()
        self._failed = LruTable[Server, str]()

    def connect(self, server: Server, seconds: float) -> socket.socket:
        """A connection to the first permitted address that accepts one within `seconds`.

        Raises:
            UnsafeUrl: the name has no permitted address.
            ResolverSilent: no name server answered in time.
            TimeoutError: none of its addresses answered.
            OSError: none of them accepts a connection, or the name has no address.
        """
        ends_at = time.monotonic() + seconds
        found = self._places(server, seconds)
        permitted = [each for each in found if self._permit(server.scheme, ip_address(each.text))]
        if not permitted:
            raise UnsafeUrl(
                "a URL whose name leads to this machine or a link-local address, from a server elsewhere"
                if server.scheme == "https"
                else "a URL in plain http whose name does not lead to this machine"
            )
        return first_connected(
            in_order(permitted, self._worked.get(server), self._failed.get(server)), ends_at
        )

    @contextmanager
    def judging(self, server: Server, address: str) -> Iterator[None]:
        """Remember whether the block, which sets up a connection to this address, failed."""
        try:
            yield
        except OSError:
            # Something may drop the TLS handshake at one address and not at another.
            self._failed.put(server, address)
            if self._worked.get(server) == address:
                self._worked.drop(server)
            raise
        self._worked.put(server, address)
        if self._failed.get(server) == address:
            self._failed.drop(server)

    def _places(self, server: Server, seconds: float) -> list[Place]:
        """The addresses of a server, in the system's order of preference (RFC 6724).

        Threads that need the same name share one look-up, and each waits no longer than its own `seconds`.

        Raises:
            ResolverSilent: no name server answered in time.
            OSError, UnicodeError: the name has no address.
        """
        key = (server.host, server.port)
        if _is_address(server.host):
            return _found(*key)  # without a name server
        with self._lock:
            lookup = self._lookups.get(key)
            is_ours = lookup is None
            if lookup is None:
                lookup = self._lookups[key] = Future()
        if is_ours:
            looking = threading.Thread(target=self._look_up, args=(key, lookup), name="resolver", daemon=True)
            try:
                looking.start()
            except RuntimeError:
                # No thread can be started: look up in this one, without a time limit.
                self._look_up(key, lookup)
        try:
            return lookup.result(max(seconds, 0))
        except futures.TimeoutError as error:
            if lookup.done():
                raise
            raise ResolverSilent(f"no name server has answered for {server.host}") from error

    def _look_up(self, key: tuple[str, int], lookup: Future[list[Place]]) -> None:
        try:
            found = _found(*key)
            outcome: BaseException | None = None if found else OSError("the name leads nowhere")
        except BaseException as error:  # noqa: BLE001 - raised again where the result is read
            found, outcome = [], error
        with self._lock:
            del self._lookups[key]
        if outcome is None:
            lookup.set_result(found)
        else:
            lookup.set_exception(outcome)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _found(host: str, port: int) -> list[Place]:
    return [
        Place(family, kind, protocol, address)
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]


def in_order(places: Iterable[Place], first: str | None = None, last: str | None = None) -> list[Place]:
    """The addresses in the order in which to try them: the families alternate (RFC 8305, 4).

    `first` is the address that worked before, `last` one that failed.
    """
    by_family: dict[int, dict[str, Place]] = {}
    for each in places:
        by_family.setdefault(each.family, {}).setdefault(each.text, each)
    taking_turns = [
        each
        for each in chain(*zip_longest(*(each.values() for each in by_family.values())))
        if each is not None
    ]
    return sorted(taking_turns, key=lambda each: (each.text == last) - (each.text == first))


def first_connected(places: Iterable[Place], ends_at: float) -> socket.socket:
    """The first connection that succeeds; attempts start one after the other and continue in parallel.

    `ends_at` is a time of the monotonic clock.

    Raises:
        TimeoutError: none succeeded by then.
        OSError: every address refused it.
    """
    waiting, begun = deque(places), dict[int, socket.socket]()
    poll, next_at = select.poll(), -math.inf
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    try:
        while waiting or begun:
            now = time.monotonic()
            if now >= ends_at:
                raise TimeoutError
            if waiting and (not begun or now >= next_at):
                try:
                    attempt = _begin(waiting.popleft())
                except OSError as error:
                    failure = error
                    continue
                begun[attempt.fileno()] = attempt
                poll.register(attempt, select.POLLOUT)
                next_at = now + _ATTEMPT_DELAY
            until = min(ends_at, next_at) if waiting else ends_at
            for descriptor, _ in poll.poll(math.ceil(max(until - now, 0) * _MILLISECONDS)):
                attempt = begun.pop(descriptor)
                poll.unregister(descriptor)
                number = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not number:
                    return attempt
                attempt.close()
                failure, next_at = OSError(number, os.strerror(number)), now
    finally:
        _close(begun)
    raise failure


def _begin(place: Place) -> socket.socket:
    """A socket whose non-blocking connect has begun.

    Raises:
        OSError: the connect failed at once.
    """
    attempt = socket.socket(place.family, place.kind, place.protocol)
    try:
        attempt.settimeout(0)
        number = attempt.connect_ex(place.address)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))
    except BaseException:
        attempt.close()
        raise
    return attempt


def _close(attempts: Mapping[int, socket.socket]) -> None:
    for each in attempts.values():
        each.close()
