"""What the unit tests share: how hypothesis runs, an HTTP server, bodies, threads that hand back results."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import settings

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, DeadlinePassed, EmpiricalError
from empirical_fs.net.incoming import Incoming
from empirical_fs.net.streams import Stream
from empirical_fs.reading.fetch.object_store import Body
from empirical_fs.reading.part import Coming, Part
from empirical_fs.reading.pending_read import Cancel
from empirical_fs.reading.version import Extent
from empirical_fs.work.timer import Timer
from empirical_fs.work.waits import Steps, drive
from tests.support.ports import unused_port

# The same examples in every run, and no database in the tree: a failure is one that everybody sees.
settings.register_profile("unit", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("unit")


def unnoticed(count: int) -> None:
    """Bytes that moved, and nobody minds."""


@dataclass(kw_only=True)
class NotingDeadline(Deadline):
    """A deadline that shows each time somebody is about to wait by it."""

    noted: threading.Semaphore

    def remaining(self) -> float:
        self.noted.release()
        return super().remaining()


class Inline:
    """Does what waits at once, in the thread that asks for it."""

    def run(self, steps: Steps[None]) -> None:
        drive(steps)


class InThreads:
    """Does what waits in a thread of its own."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def run(self, steps: Steps[None]) -> None:
        self._executor.submit(drive, steps)


class Unread(Stream):
    """A body that nobody reads."""

    def __init__(self) -> None:
        """Have no socket."""

    def close(self) -> None:
        """Have no connection to give back."""


class Arrived(Incoming):
    """A body of which nothing is waited for."""

    def __init__(self, read_into: Callable[[memoryview], int]) -> None:
        self._read = read_into

    def arrived(self) -> Steps[None]:
        yield from ()

    def read_into(self, view: memoryview) -> int:
        return self._read(view)


class Waiting:
    """Somebody who reads and waits in a thread, as the kernel's requests do without one."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._data = b""
        self._error: EmpiricalError | None = None

    def give(self, pieces: list[memoryview]) -> None:
        assert not self._ended.is_set(), "told twice"
        self._data = b"".join(pieces)
        self._ended.set()

    def fail(self, error: EmpiricalError) -> None:
        assert not self._ended.is_set(), "told twice"
        self._error = error
        self._ended.set()

    def bytes_of(self, begin: Callable[["Waiting"], Cancel], deadline: Deadline) -> bytes:
        """What the read gives that `begin` begins; cancelled at the deadline."""
        cancel = begin(self)
        while not self._ended.is_set():
            try:
                self._ended.wait(deadline.remaining())
            except DeadlinePassed:
                cancel()
                raise
        if self._error is not None:
            raise self._error
        return self._data


def read_part(part: Part, start: int, stop: int, deadline: Deadline) -> bytes:
    """The bytes of a part, once they are here."""
    here = threading.Event()
    while (coming := part.when_here(stop, here.set)) is Coming.LATER:
        try:
            here.wait(deadline.remaining())
        except DeadlinePassed:
            part.withdraw(here.set)
            raise
    pieces = part.take(start, stop) if coming is Coming.HERE else None
    if pieces is None:
        raise part.failure or Closing("nobody reads on")
    try:
        return b"".join(pieces)
    finally:
        part.give_back()


@dataclass(frozen=True)
class Asked:
    """A request as the server got it; header names in lower case."""

    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What the server is to send; a Content-Length that is longer than the body breaks it off."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """An HTTP server on 127.0.0.1 whose answers are given by `answer`, one request a connection."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda _: Answer(404)
        self._http = ThreadingHTTPServer(("127.0.0.1", unused_port()), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
                server.asked.append(asked)
                answer = server.answer(asked)
                headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
                self.send_response_only(answer.status)
                for name, value in headers.items():
                    if value:
                        self.send_header(name, value)
                with suppress(ConnectionError):  # who has enough goes without the rest
                    self.end_headers()
                    self.wfile.write(answer.body)
                self.close_connection = True

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def timer() -> Iterator[Timer]:
    timer = Timer()
    timer.start()
    yield timer
    timer.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def zeros(start: int, stop: int, closed: Callable[[int], None] = unnoticed) -> Body:
    """A body of zeros, which tells where it was when it was closed."""
    left = stop - start

    def read_into(view: memoryview) -> int:
        nonlocal left
        count = min(len(view), left)
        left -= count
        return count

    body = Body(Extent(start, stop), Arrived(read_into), lambda: closed(body.at), Cancellation())
    return body
