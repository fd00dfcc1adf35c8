"""What went wrong, in the one line that users read."""

from empirical_fs.errors import ApiUnavailable, EmpiricalError, KeyRefused, NotTheApi
from empirical_fs.privacy import KEY_VARIABLE


def explained(
    error: BaseException,
    key_origin: str = f"{KEY_VARIABLE} or the key file",
    api_url_from: str = "--api-url",
) -> str:
    """What happened and what to do about it, in one line.

    Args:
        error: what happened.
        key_origin: where the key is from.
        api_url_from: who said where the API is.
    """
    match error:
        case KeyRefused():
            return f"{error}; check {key_origin}"
        case ApiUnavailable():
            if "; " in str(error):
                return f"cannot reach the API: {error}"  # who knows better has said what to do
            is_there = error.silent is None
            advice = "try again in a while" if is_there else f"check the network and {api_url_from}"
            return f"cannot reach the API: {error}; {advice}"
        case NotTheApi():
            return f"this is not the Empirical API: {error}; check {api_url_from}"
        case EmpiricalError():
            return " ".join(str(error).split())
        case _:
            return _unforeseen(error)


def _unforeseen(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or type(error).__name__}"
    return f"an internal error, please report it: {type(error).__name__}: {error}"
