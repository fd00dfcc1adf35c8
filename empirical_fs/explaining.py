"""Turns an exception into the one line that users read."""

import errno

from empirical_fs.errors import (
    ApiUnavailable,
    EmpiricalError,
    KeyRefused,
    NoMemory,
    NoThread,
    NotTheApi,
    Trouble,
)
from empirical_fs.privacy import KEY_VARIABLE


def explained(
    error: BaseException,
    key_origin: str = f"{KEY_VARIABLE} or the key file",
    api_url_from: str = "--api-url",
) -> str:
    """What happened and what to do about it, in one line.

    Args:
        error: the exception.
        key_origin: where the key is from, such as a file or a variable.
        api_url_from: where the URL of the API is from, such as an option or a variable.
    """
    match error:
        case KeyRefused():
            trouble = Trouble(error.what, f"check {key_origin}")
        case ApiUnavailable():
            is_there = error.silent is None
            advice = "try again in a while" if is_there else f"check the network and {api_url_from}"
            trouble = Trouble(f"cannot reach the API: {error.what}", error.advice or advice)
        case NotTheApi():
            trouble = Trouble(f"this is not the Empirical API: {error}", f"check {api_url_from}")
        case EmpiricalError():
            trouble = error.trouble
        case MemoryError() | OSError(errno=errno.ENOMEM):
            trouble = NoMemory().trouble
        case OSError(errno=errno.EAGAIN, filename=None):
            trouble = NoThread().trouble  # no process could be made (fork(2))
        case _:
            trouble = Trouble(_unforeseen(error))
    return " ".join(str(trouble).split())


def _unforeseen(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or type(error).__name__}"
    return f"an internal error, please report it: {type(error).__name__}: {error}"
