"""Work that waits for the network without a thread: it is written as steps, with a wait between them.

Steps are a generator that yields what it waits for, and goes on in whatever thread is free then. `drive` does
them in the thread that calls, which waits; a lane (`lanes`) has a few threads do those of many.
"""

import select
import socket
import time
from collections.abc import Callable, Generator
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Readable:
    """Wait until a socket has something to read, or its end; for so many seconds at most."""

    socket: socket.socket
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Wait until a function, which itself waits and raises nothing, is done in a thread for such ones."""

    function: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Told:
    """Wait until a future has its result, for so many seconds at most."""

    future: Future[None]
    seconds: float


Wait = Readable | Pause | Elsewhere | Told

Steps = Generator[Wait, bool, _Result]
"""Yields what it waits for, and is sent whether that has come before its time was over."""


def is_readable(connected: socket.socket, seconds: float = 0) -> bool:
    """Whether a socket has something to read, or its end, within so many seconds."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(max(seconds, 0) * 1000))


def has_arrived(connected: socket.socket) -> bool:
    """Whether there is something to read, or the end, without waiting.

    What TLS has deciphered is no longer in the socket.
    """
    pending: Callable[[], int] | None = getattr(connected, "pending", None)
    return (pending is not None and pending() > 0) or is_readable(connected)


def elsewhere(function: Callable[[], _Result]) -> Steps[_Result]:
    """What a function returns that waits, done in a thread for such ones.

    Raises:
        BaseException: whatever it raises.
    """
    outcome = Future[_Result]()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is asked for
            outcome.set_exception(error)

    yield Elsewhere(run)
    return outcome.result()


def drive(steps: Steps[_Result]) -> _Result:
    """Do all steps here and now, and wait here for what they wait for; what they return.

    Raises:
        BaseException: whatever the steps raise.
    """
    try:
        wait = next(steps)
        while True:
            wait = steps.send(wait_here(wait))
    except StopIteration as end:
        result: _Result = end.value
        return result


def wait_here(wait: Wait) -> bool:
    """Wait in the thread that calls; whether what is waited for has come."""
    if isinstance(wait, Readable):
        return is_readable(wait.socket, wait.seconds)
    if isinstance(wait, Told):
        return bool(futures.wait([wait.future], max(wait.seconds, 0)).done)
    if isinstance(wait, Pause):
        time.sleep(wait.seconds)
    else:
        wait.function()
    return True
