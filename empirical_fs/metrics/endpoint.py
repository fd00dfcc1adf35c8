"""Serves the metrics over HTTP, by one thread that takes little, whatever its clients do."""

import errno
import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from math import ceil

import h11
from prometheus_client import CollectorRegistry, ProcessCollector

from empirical_fs.errors import SetupError
from empirical_fs.metrics.answers import PATH, Answers, encoded, to_no_request
from empirical_fs.metrics.collector import EmpiricalCollector
from empirical_fs.metrics.measured import Measured
from empirical_fs.settings.values import ListenAddress
from empirical_fs.work.threads import Worker

_CLIENTS_MAX = 32
"""Open connections; one more ends the oldest: who has not asked by then may be there only to hold it."""
_CLIENT_SECONDS = 5.0
"""How long a connection may be open. Prometheus gives a scrape 10 s."""
_HEAD_MAX = 8 * 2**10
_PIECE = 16 * 2**10
_ACCEPTED_AT_ONCE = 4
_REST = 19
"""After each turn the thread rests for so many times the CPU time that this took: 5% of a CPU at most."""
_REST_SECONDS_MAX, _FAILED_SECONDS = 1.0, 0.5
_END_SECONDS = 2.0
_MILLISECONDS = 1000

log = logging.getLogger(__name__)


class _Client:
    """One connection: it brings one request, is sent the answer, and is closed once the client has it."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.socket = connected
        self.deadline = deadline
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_MAX)
        self._unsent = memoryview(b"")
        self._is_answered = False

    @property
    def awaited(self) -> int:
        """The event of poll(2) that it waits for."""
        return select.POLLOUT if self._unsent else select.POLLIN

    def go_on(self, answers: Answers) -> bool:
        """Do what can be done without waiting; False if the connection is to be closed.

        Raises:
            OSError: the client has gone.
        """
        if not self._unsent:
            data = self.socket.recv(_PIECE)
            if not data:
                return False
            # What comes after the request is read and dropped: closing earlier would take back the answer.
            if not self._is_answered:
                self._take(data, answers)
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                return True
            self._unsent = self._unsent[sent:]
            if not self._unsent:
                self.socket.shutdown(socket.SHUT_WR)
        return True

    def _take(self, data: bytes, answers: Answers) -> None:
        is_to_head = False
        try:
            self._http.receive_data(data)
            request = self._http.next_event()
            if not isinstance(request, h11.Request):
                return
            is_to_head = request.method == b"HEAD"
            answer = answers.to(request)
        except h11.RemoteProtocolError as error:
            answer = to_no_request(error)
        self._is_answered = True
        self._unsent = memoryview(encoded(answer, self._http, is_to_head=is_to_head))


class Endpoint:
    """Listens at an address from its creation until `close`, and answers by a thread of its own.

    Only that thread touches the connections. It never waits for a client, and rests after each turn, so that
    clients who never send, or send without end, cost others nothing. `show` and `close` are for any thread.
    """

    def __init__(self, address: ListenAddress, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen at `address`, with nothing to show yet but the process; `clock` returns seconds.

        Raises:
            SetupError: one cannot listen there.
            NoThread: no thread can serve it.
        """
        self._clock = clock
        self._measure: Callable[[], Measured] | None = None
        self._is_closed, self._has_ended = threading.Event(), threading.Event()
        self._clients: dict[int, _Client] = {}
        """By descriptor; the oldest first."""
        registry = CollectorRegistry()
        registry.register(EmpiricalCollector(self._measured))
        ProcessCollector(registry=registry)
        self._answers = Answers(registry, is_for_this_machine=ip_address(address.host).is_loopback)
        self._listener = _listening(address)
        self._sockets = [self._listener]
        try:
            self._bell, self._ringer = socket.socketpair()
            self._sockets += [self._bell, self._ringer]
            Worker(self._serve)
        except BaseException:
            self._free()
            raise
        log.info("the metrics are at http://%s%s", address, PATH)

    def show(self, measure: Callable[[], Measured] | None) -> None:
        """From now on show what `measure` returns; with None: nothing but the process."""
        self._measure = measure

    def close(self) -> None:
        """End the thread, and leave the port to others."""
        self._measure = None
        self._is_closed.set()
        self._ringer.send(b".")
        # A thread that hangs in a measurement finds the listener closed.
        self._has_ended.wait(_END_SECONDS)
        self._free()

    def _measured(self) -> Measured | None:
        measure = self._measure
        return None if measure is None else measure()

    def _free(self) -> None:
        for each in self._sockets:
            each.close()

    def _serve(self) -> None:
        try:
            while not self._is_closed.is_set():
                rest = self._turn_guarded()
                bell = select.poll()
                bell.register(self._bell, select.POLLIN)
                bell.poll(rest * _MILLISECONDS)
        finally:
            for client in self._clients.values():
                client.socket.close()
            self._has_ended.set()

    def _turn_guarded(self) -> float:
        """Wait until something can be done, and do it; returns for how many seconds to rest then."""
        begun = time.thread_time()
        try:
            self._turn()
        except (OSError, MemoryError) as error:
            log.debug("the metrics cannot be served now: %s", error)
            return _FAILED_SECONDS
        except Exception:
            if not self._is_closed.is_set():
                log.exception("serving the metrics failed unexpectedly")
            return _FAILED_SECONDS
        return min((time.thread_time() - begun) * _REST, _REST_SECONDS_MAX)

    def _turn(self) -> None:
        now = self._clock()
        for client in [each for each in self._clients.values() if each.deadline <= now]:
            self._drop(client)
        waiting = select.poll()
        for listening in (self._bell, self._listener):
            waiting.register(listening, select.POLLIN)
        for client in self._clients.values():
            waiting.register(client.socket, client.awaited)
        first = min((each.deadline for each in self._clients.values()), default=None)
        found = dict(waiting.poll(None if first is None else ceil((first - now) * _MILLISECONDS)))
        for descriptor, client in list(self._clients.items()):
            if descriptor in found:
                self._go_on(client)
        # The last thing, since a new connection may have the descriptor of one that was closed.
        if self._listener.fileno() in found:
            self._accept()

    def _go_on(self, client: _Client) -> None:
        try:
            is_over = not client.go_on(self._answers)
        except OSError:
            is_over = True
        if is_over:
            self._drop(client)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connected, _ = self._listener.accept()
            except BlockingIOError:
                return
            connected.setblocking(False)  # noqa: FBT003 - as the standard library has it
            if len(self._clients) >= _CLIENTS_MAX:
                self._drop(next(iter(self._clients.values())))
            self._clients[connected.fileno()] = _Client(connected, self._clock() + _CLIENT_SECONDS)

    def _drop(self, client: _Client) -> None:
        del self._clients[client.socket.fileno()]
        client.socket.close()


def _listening(address: ListenAddress) -> socket.socket:
    """A socket that listens at `address`.

    Raises:
        SetupError: that is not possible; says why.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(address, error) from error
    try:
        # The port is free again at once, though connections of its last owner are not forgotten yet.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_CLIENTS_MAX)
        listener.setblocking(False)  # noqa: FBT003 - as the standard library has it
    except OSError as error:
        listener.close()
        raise _cannot_listen(address, error) from error
    return listener


def _cannot_listen(address: ListenAddress, error: OSError) -> SetupError:
    what = f"the metrics cannot be served at {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return SetupError(
                f"{what}: the port is in use", advice="give another one, for each mount its own"
            )
        case errno.EADDRNOTAVAIL:
            return SetupError(f"{what}: this machine does not have that address", advice="see ip address")
        case errno.EACCES:
            return SetupError(f"{what}: only root may use ports below 1024", advice="give a higher one")
        case _:
            return SetupError(f"{what}: {error.strerror}")
