"""Runs a check that may fail or hang, with a limit on its time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from empirical_fs.errors import DeadlinePassed, EmpiricalError, NoThread, SetupError

_Value = TypeVar("_Value")


def attempt(work: Callable[[], _Value], patience: float) -> _Value | EmpiricalError:
    """What `work` returns, or the error that it raised, or DeadlinePassed after `patience` seconds.

    Raises:
        BaseException: any other exception of `work`, which is a bug of ours.
    """
    try:
        return begin(work).result(patience)
    except TimeoutError:
        return DeadlinePassed(f"it took more than {patience:g} s")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return SetupError(f"{where}{error.strerror or type(error).__name__}")
    except EmpiricalError as error:
        return error


def begin(work: Callable[[], _Value]) -> Future[_Value]:
    """Run `work` in a daemon thread, which does not delay the end of the process if it hangs.

    A name server or a file system may hang for a long time.

    Raises:
        NoThread: the system has no thread to spare.
    """
    future = Future[_Value]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by `result()`
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="check", daemon=True).start()
    except RuntimeError as error:
        raise NoThread from error
    return future
