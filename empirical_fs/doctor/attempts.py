"""Work that may fail or hang, looked at for so long."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from empirical_fs.errors import DeadlinePassed, EmpiricalError, NoThread, SetupError

_Value = TypeVar("_Value")


def attempt(work: Callable[[], _Value], patience: float) -> _Value | EmpiricalError:
    """What `work` comes to, or why it came to nothing within `patience` seconds.

    Raises:
        BaseException: what nobody but ourselves can have caused.
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
    """Do it in a thread that nobody has to wait for: a resolver or a file system may hang for ages.

    Raises:
        NoThread: the system has none to spare.
    """
    future = Future[_Value]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who asked for the result
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="check", daemon=True).start()
    except RuntimeError as error:
        raise NoThread from error
    return future
