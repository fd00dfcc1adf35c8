"""Running in the background, and telling the parent when it may say that all is well."""

import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from types import FrameType
from typing import NoReturn

from empirical_fs.errors import EmpiricalError, UsageError

_READY, _GOES_ON = b"ready\n", b".\n"
_ENCODING = "utf-8", "surrogatepass"
"""Of what is said: it may name a mount point that is not in the encoding of the locale."""
_GONE = "the mount was there, and is gone again; the log may say why"
_FAILED, _USAGE = 1, 2
_READ_MAX = 4096
_END_SECONDS, _PAUSE = 2.0, 0.02
_SIGNALLED = 128
"""Added to the number of a signal, the exit status that it leads to, as shells have it."""

log = logging.getLogger(__name__)

Tell = Callable[[], None]
Serve = Callable[[Tell, Tell], None]
"""Told how to say that it is ready, and how to say that it goes on."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of a process that was not ready."""

    reason: str
    is_usage: bool = False
    """Whether it was asked for what cannot be."""


def in_background(
    serve: Serve, explain: Callable[[BaseException], str], patience: float, answers: Callable[[], bool]
) -> Failure | None:
    """Run `serve` in a new session, and return once it is ready and answers, or has failed.

    It fails, and is ended, when it says nothing for `patience` seconds. Whoever says that it is ready may end
    a moment later, so `answers` is asked then. None if it answers; otherwise what `explain` makes of the
    exception by which it ended. Only the caller returns from this.

    Raises:
        BaseException: what `answers` raises, or the user did not want to wait; the background process is
            ended.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        os.chdir("/")
        _run_child(serve, explain, writing)
    os.close(writing)
    try:
        with ending_by_exception(), os.fdopen(reading, "rb", buffering=0) as pipe:
            said = _last_word(pipe, patience)
            was_ready = said is not None and said.startswith(_READY)
            if said is not None and was_ready:
                if answers():
                    return None
                said = _last_word(pipe, _END_SECONDS, said.removeprefix(_READY))
    except BaseException:
        _end(child)
        raise
    if said is None:
        _end(child)
        silence = f"the background process said nothing for {patience:.0f} s, and was ended; try again"
        return Failure(_GONE if was_ready else silence)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended = _GONE if was_ready else "the background process ended before it was ready"
    return Failure(said.decode(*_ENCODING) or ended, is_usage=status == _USAGE)


def _last_word(pipe: FileIO, patience: float, said: bytes = b"") -> bytes | None:
    """What the child says after its reports that it goes on, until it is ready or ends.

    None if it is silent for so long; `said` is what it has said before.
    """
    while select.select([pipe], [], [], patience)[0]:
        more = pipe.read(_READ_MAX)
        if not more:
            return said
        said = (said + more).rpartition(_GOES_ON)[2]
        if said.startswith(_READY):
            return said
    return None


def _end(child: int) -> None:
    """End the child, by force where it does not listen, as one that is stopped."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(_PAUSE)


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Turn signals that would end the process at once into SystemExit, for what was made to be taken away."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(_SIGNALLED + number)

    numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
    replaced = {number: signal.signal(number, end) for number in numbers if _is_default(number)}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _is_default(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL


def _run_child(serve: Serve, explain: Callable[[BaseException], str], writing: int) -> None:
    parent = os.fdopen(writing, "wb", buffering=0)
    was_ready = False

    def tell(what: bytes) -> None:
        with suppress(BrokenPipeError):  # the parent may have been killed; the mount is up all the same
            parent.write(what)

    def ready() -> None:
        nonlocal was_ready
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.close(null)
        was_ready = True
        tell(_READY)

    status = _FAILED
    try:
        # Before the mount: afterwards there may be no descriptor left, and nobody would be told.
        null = os.open(os.devnull, os.O_RDWR)
        serve(ready, partial(tell, _GOES_ON))
        status = 0
    except BaseException as error:
        if isinstance(error, UsageError):
            status = _USAGE
        # The parent may ask the mount just now whether it answers, or be gone.
        tell(explain(error).encode(*_ENCODING))
        if was_ready and isinstance(error, EmpiricalError):
            log.error("%s", error)
        elif was_ready:
            log.exception("the file system ended in a way that it should not")
    finally:
        logging.shutdown()
        # Threads that wait for the network would otherwise hold up the end of the process.
        os._exit(status)
