"""Tasks that wait for the network without a thread: they are written as steps, with waits between them.

Steps are a generator that yields what it waits for, and is resumed by any free thread. `drive` runs them in
the calling thread, which waits itself; a lane (`lanes.py`) runs the steps of many tasks in a few threads.
"""

import select
import socket
import time
from collections.abc import Callable, Generator
from concurrent import futures
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

_Result = TypeVar("_Result")


class Readable(NamedTuple):
    """Wait until a socket has bytes to read or is at its end, for at most `seconds`."""

    socket: socket.socket
    seconds: float


class Pause(NamedTuple):
    """Wait for `seconds`."""

    seconds: float


class InThread(NamedTuple):
    """Wait until a function, which may block but not raise, has run in a thread for blocking work."""

    function: Callable[[], None]


class Done(NamedTuple):
    """Wait until a future has its result, for at most `seconds`."""

    future: Future[None]
    seconds: float


Wait = Readable | Pause | InThread | Done

Steps = Generator[Wait, bool, _Result]
"""Yields what it waits for, and is sent True if that came in time, else False."""


def is_readable(connected: socket.socket, seconds: float = 0) -> bool:
    """Whether a socket has bytes to read or is at its end, within `seconds`."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(max(seconds, 0) * 1000))


def has_arrived(connected: socket.socket) -> bool:
    """Whether a socket has bytes to read or is at its end, without waiting.

    Bytes that TLS has already decrypted count too; they are no longer in the socket itself.
    """
    return has_pending(connected) or is_readable(connected)


def has_pending(connected: socket.socket) -> bool:
    """Whether TLS has decrypted bytes that were not read yet."""
    pending: Callable[[], int] | None = getattr(connected, "pending", None)
    return pending is not None and pending() > 0


def in_thread(function: Callable[[], _Result]) -> Steps[_Result]:
    """Run a function that blocks in a thread for blocking work; returns what the function returns.

    Raises:
        BaseException: raised by the function.
    """
    outcome = Future[_Result]()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - `outcome.result` raises it
            outcome.set_exception(error)

    yield InThread(run)
    return outcome.result()


def drive(steps: Steps[_Result]) -> _Result:
    """Run all steps in this thread, which also does their waits; returns what the steps return.

    Raises:
        BaseException: raised by the steps.
    """
    try:
        wait = next(steps)
        while True:
            wait = steps.send(wait_here(wait))
    except StopIteration as end:
        result: _Result = end.value
        return result


def wait_here(wait: Wait) -> bool:
    """Wait in the calling thread; True if what it waits for came in time."""
    if isinstance(wait, Readable):
        return is_readable(wait.socket, wait.seconds)
    if isinstance(wait, Done):
        return bool(futures.wait([wait.future], max(wait.seconds, 0)).done)
    if isinstance(wait, Pause):
        time.sleep(wait.seconds)
    else:
        wait.function()
    return True
