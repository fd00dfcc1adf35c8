"""From the name of a server to a connection: one look-up for all, its addresses side by side (RFC 8305)."""

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
from empirical_fs.net.recent import Recent
from empirical_fs.server import Server

_ATTEMPT_DELAY = 0.25
"""Seconds that an address has to itself before the next one is tried beside it (RFC 8305, 5)."""
_MILLISECONDS = 1000


class ResolverSilent(TimeoutError):
    """Nobody has said in time where a name leads."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address that a name leads to, as getaddrinfo gives it."""

    family: int
    kind: int
    protocol: int
    address: Any

    @property
    def text(self) -> str:
        """The address without its port."""
        return str(self.address[0])


class Connector:
    """Makes connections to servers, first by the address that has worked before.

    The lock guards which look-ups are under way.
    """

    def __init__(self, permit: Permit) -> None:
        """Connect to addresses that `permit` permits."""
        self._permit = permit
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], Future[list[Place]]] = {}
        self._worked = Recent[Server, str]()
        self._failed = Recent[Server, str]()

    def connect(self, server: Server, seconds: float) -> socket.socket:
        """A connection to the first address of a server that is permitted and accepts it, in so many seconds.

        Raises:
            UnsafeUrl: the name leads to no address that is permitted.
            ResolverSilent: nobody says where it leads.
            TimeoutError: none of its addresses answered.
            OSError: none of them accepts a connection, or the name leads nowhere.
        """
        ends_at = time.monotonic() + seconds
        found = self._places(server, seconds)
        permitted = [each for each in found if self._permit(server.scheme, ip_address(each.text))]
        if not permitted:
            raise UnsafeUrl(
                "a URL whose name leads to this machine or its link, from a server that is not there"
                if server.scheme == "https"
                else "a URL in plain http whose name does not lead to this machine"
            )
        return first_connected(
            in_order(permitted, self._worked.get(server), self._failed.get(server)), ends_at
        )

    @contextmanager
    def judging(self, server: Server, address: str) -> Iterator[None]:
        """Remember whether it worked to set up a connection to this address of the server."""
        try:
            yield
        except OSError:
            # Where the handshake of TLS is swallowed, another address may be well.
            self._failed.put(server, address)
            if self._worked.get(server) == address:
                self._worked.drop(server)
            raise
        self._worked.put(server, address)
        if self._failed.get(server) == address:
            self._failed.drop(server)

    def _places(self, server: Server, seconds: float) -> list[Place]:
        """The addresses of a server, in the order of the system's preference (RFC 6724).

        A resolver that is silent is asked once, however many wait for it, and none waits longer than it may.

        Raises:
            OSError, UnicodeError: the name leads nowhere; ResolverSilent.
        """
        key = (server.host, server.port)
        if _is_address(server.host):
            return _found(*key)  # nobody is asked
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
                # There is no thread to spare: then it takes as long as it takes.
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
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is asked for
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
    """The addresses in the order in which they are tried: the families take turns (RFC 8305, 4).

    `first` is the address that worked before; `last`, one that failed.
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
    """The connection that is made first, of attempts that begin one after the other, and go on side by side.

    `ends_at` is a moment of the monotonic clock.

    Raises:
        TimeoutError: none was made until then.
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
    """A socket that is being connected.

    Raises:
        OSError: it cannot be.
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
