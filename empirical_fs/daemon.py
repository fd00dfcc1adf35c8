"""Running in the background, and telling the parent when it may say that all is well."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from empirical_fs.errors import EmpiricalError

_READY = b"ready"
_SIGNALLED = 128
"""Added to the number of a signal, the exit status that it leads to, as shells have it."""

log = logging.getLogger(__name__)

Ready = Callable[[], None]


def in_background(serve: Callable[[Ready], None], explain: Callable[[BaseException], str]) -> str | None:
    """Run `serve` in a new session, and return once it calls what it was given, or has failed.

    None if it is ready; otherwise what `explain` makes of its exception. Only the caller returns from this.

    Raises:
        KeyboardInterrupt, SystemExit: the user did not want to wait; the background process is ended.
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
        with _ending_by_exception(), os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
    except (KeyboardInterrupt, SystemExit):
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if said == _READY:
        return None
    return os.fsdecode(said) or "the background process ended before it was ready"


@contextmanager
def _ending_by_exception() -> Iterator[None]:
    """Turn signals that would end the process at once into SystemExit."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(_SIGNALLED + number)

    numbers = [signal.SIGTERM, signal.SIGHUP]
    replaced = {number: signal.signal(number, end) for number in numbers if _is_default(number)}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _is_default(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL


def _run_child(serve: Callable[[Ready], None], explain: Callable[[BaseException], str], writing: int) -> None:
    parent = os.fdopen(writing, "wb", buffering=0)

    def ready() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.close(null)
        with (
            parent,
            suppress(BrokenPipeError),
        ):  # the parent may have been killed; the mount is up all the same
            parent.write(_READY)

    status = 1
    try:
        serve(ready)
        status = 0
    except BaseException as error:
        if not parent.closed:
            # It may name a mount point that is not UTF-8, or what a server said, which is no better.
            parent.write(explain(error).encode(errors="surrogateescape"))
        elif isinstance(error, EmpiricalError):
            log.error("%s", error)
        else:
            log.exception("the file system ended in a way that it should not")
    finally:
        logging.shutdown()
        # Threads that wait for the network would otherwise hold up the end of the process.
        os._exit(status)
