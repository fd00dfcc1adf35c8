"""Reads the API key from a file that no other user can read, or from the environment."""

import os
import re
from pathlib import Path

from empirical_fs.errors import SetupError, Trouble
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.named_files import read_named
from empirical_fs.settings.trust import check_secret

_KEY = re.compile(r"[\x21-\x7e]+")
_KEY_MAX = 8 * 2**10
"""Bytes; servers do not accept longer headers."""
_KEY_FILE_MAX = 64 * 2**10
_NAMED_KEY = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=(?!=*\s*$).*", re.DOTALL)
"""NAME=KEY, as in a shell or an env file; a key in base64 may end with `=`."""
_ALONE = "write the key alone"
_QUOTES = ("'", '"', "`")


def take_key(
    key_file: Path | None, variable: str | None, source: str = "--key-file", option: str = "--key-file FILE"
) -> str:
    """The API key, from the file if one is given, else from the environment.

    Args:
        key_file: the file; None without one.
        variable: the value of the environment variable, from `take_key_variable`; None if it is not set.
        source: the flag, variable or file that named the key file, for messages.
        option: how the user names a key file, for messages.

    Raises:
        SetupError: there is no key, other users can read the file, or its content is not a key.
    """
    if key_file is not None:
        key, place = _read_key_file(key_file, source), str(key_file)
    elif variable is not None:
        key, place = variable, KEY_VARIABLE
    else:
        raise SetupError(
            "no API key",
            advice=f"set {KEY_VARIABLE}, or give {option}"
            " (the Empirical dashboard, under API keys, has yours)",
        )
    key = key.strip()
    if wrong := _what_is_wrong(key):
        raise SetupError(f"the API key in {place} {wrong.what}", advice=wrong.advice)
    return key


def _what_is_wrong(key: str) -> Trouble | None:
    """Why this is not a valid key, in words that do not contain it; None if it is valid."""
    if len(key) > _KEY_MAX:
        return Trouble(f"is longer than {_KEY_MAX // 2**10} KiB, as no key is", "this may be another file")
    if key.startswith(_QUOTES) or key.endswith(_QUOTES):
        return Trouble("is in quotes", _ALONE)
    if _NAMED_KEY.fullmatch(key):
        return Trouble("is written as NAME=KEY", _ALONE)
    if not _KEY.fullmatch(key):
        return Trouble("is empty or has spaces or unprintable characters in it")
    return None


def _read_key_file(path: Path, source: str) -> str:
    try:
        content = read_named(
            path, _KEY_FILE_MAX, lambda file: check_secret(os.fstat(file), "key file", str(path))
        )
    except OSError as error:
        # If there is no such file, the path may be the key itself, which must not be shown.
        if not os.path.lexists(path):
            if isinstance(error, PermissionError):
                reason = f"cannot be reached ({error.strerror})"
                raise SetupError(
                    f"cannot read the key file: {source} names a file that {reason}",
                    advice="the folders on the way to it must let you through",
                ) from None
            raise SetupError(
                f"cannot read the key file: {source} names a file that does not exist",
                advice="it takes the name of a file, and not the key",
            ) from None
        raise SetupError(f"cannot read the key file {path}: {error.strerror}") from error
    return content.decode("ascii", errors="replace")
