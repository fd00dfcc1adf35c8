"""Runs the mount in a background process, which reports to its parent when it is ready or has failed."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from types import FrameType
from typing import NoReturn

from empirical_fs.abandonable import is_readable
from empirical_fs.errors import EmpiricalError, UsageError

_READY, _GOES_ON = b"ready\n", b".\n"
_ENCODING = "utf-8", "surrogatepass"
"""Encoding of the messages, which may name a mount point that is not valid in the locale's encoding."""
_GONE = "the mount was there, and is gone again; the log may say why"
_FAILED, _USAGE = 1, 2
_READ_MAX = 4096
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_END_SECONDS, _PAUSE = 2.0, 0.02
_SIGNALLED = 128
"""The exit status of a process that a signal ended is this plus the signal's number, as in shells."""

log = logging.getLogger(__name__)

Tell = Callable[[], None]
Serve = Callable[[Tell, Tell], None]
"""Serves a mount. Its arguments: a function to call when it is ready, and one to call at each progress."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a background process does not serve a mount."""

    reason: str
    is_usage: bool = False
    """Whether the command line is wrong (exit status 2)."""


def in_background(
    serve: Serve, explain: Callable[[BaseException], str], patience: float, answers: Callable[[], bool]
) -> Failure | None:
    """Run `serve` in a forked process with a new session; return once it is ready and answers, or has failed.

    If the child reports nothing for `patience` seconds, it is ended, and that is a failure. A child that is
    ready may end a moment later, so `answers` is called then. The child never returns from this function.

    Returns:
        None if the mount answers; otherwise why it failed: what `explain` makes of the child's exception.

    Raises:
        BaseException: `answers` raised it, or a signal interrupted the wait; the child has been ended.
    """
    reading, writing = os.pipe()
    # A signal that arrives here waits until each of the two processes is ready to handle it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDING, signal.SIGINT))
    child = os.fork()
    if child == 0:
        _end_by_default()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reading)
        os.setsid()
        os.chdir("/")
        _run_child(serve, explain, writing)
    os.close(writing)
    try:
        with ending_by_exception(), os.fdopen(reading, "rb", buffering=0) as pipe:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
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
    """Read from the child until it is ready or ends; returns what it wrote, without its reports of progress.

    None if it writes nothing for `patience` seconds. `said` is what was read from it before.
    """
    while is_readable(pipe.fileno(), patience):
        more = pipe.read(_READ_MAX)
        if not more:
            return said
        said = (said + more).rpartition(_GOES_ON)[2]
        if said.startswith(_READY):
            return said
    return None


def _end(child: int) -> None:
    """End the child with SIGTERM; with SIGKILL if that has no effect, as on a stopped process."""
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
    """Raise SystemExit on signals that would end the process at once, so that `finally` blocks clean up.

    A handler that somebody else installs meanwhile stays.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(_SIGNALLED + number)

    replaced = {number: signal.signal(number, end) for number in _ENDING if _is_default(number)}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


def _end_by_default() -> None:
    """Let signals that raise SystemExit end the process at once again."""
    for number in _ENDING:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


def _is_default(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL


def _run_child(serve: Serve, explain: Callable[[BaseException], str], writing: int) -> None:
    """Serve, report to the parent by the pipe `writing`, and end this process."""
    parent = os.fdopen(writing, "wb", buffering=0)
    was_ready = False

    def tell(what: bytes) -> None:
        with suppress(BrokenPipeError):  # the parent may have been killed; the mount works all the same
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
        # Opened before the mount: afterwards the process may have no descriptor left, and could not report.
        null = os.open(os.devnull, os.O_RDWR)
        serve(ready, partial(tell, _GOES_ON))
        status = 0
    except BaseException as error:
        if isinstance(error, UsageError):
            status = _USAGE
        # After `ready`, the parent may still check whether the mount answers; or it has ended, so log it too.
        tell(explain(error).encode(*_ENCODING))
        if was_ready and isinstance(error, EmpiricalError):
            log.error("%s", error)
        elif was_ready:
            log.exception("the file system ended in a way that it should not")
    finally:
        logging.shutdown()
        # Not sys.exit, which would wait for threads that wait for the network.
        os._exit(status)
