"""What the user asked for, checked before anything starts."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from empirical_fs.errors import SetupError, UnsafeUrl, UsageError
from empirical_fs.net.urls import parse_fetchable
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.settings.mount_options import MountOptions
from empirical_fs.settings.named_files import read_named
from empirical_fs.settings.trust import check_secret

API_URL_VARIABLE = "EMPIRICAL_API_URL"
DEFAULT_API_URL = "https://dash.empirical.run"
DEFAULT = "default"
"""The source of a setting that nobody gave."""
URL_LIFE_SECONDS = 3600
"""How long a signed URL lives (seeds/list-resources.txt)."""

_YEAR_SECONDS = 366 * 86_400

MEMORY_MIN = 2**20
"""Bytes without which nothing can be read."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]{1,20}")
_KEY = re.compile(r"[\x21-\x7e]+")
_KEY_MAX = 8 * 2**10
"""Bytes; servers take no longer headers."""
_KEY_FILE_MAX = 64 * 2**10
_NAMED_KEY = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=(?!=*\s*$).*", re.DOTALL)
"""As a shell or an env file has it; a key in base64 may end with `=`."""
_WORD = re.compile(r"[a-z_-]{1,20}")
_QUOTES = ("'", '"', "`")
_NO_KEY_LENGTH = 5
"""Characters up to which a text cannot be a key, and may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one mount needs to know."""

    mountpoint: Path
    key: str
    api_url: httpx.URL
    refresh: float
    """Seconds after which the listing is fetched again when somebody asks."""
    url_ttl: float
    """Seconds for which a signed URL is kept at most."""
    memory: int
    """Bytes of read data held in user space at most."""
    siblings: int
    """Bytes up to which files are fetched ahead of a directory walk; 0 for none."""
    timeout: float
    """Seconds after which a read fails."""
    options: MountOptions
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Each setting as a text, and who said so: a flag, a variable, a file or nobody."""

    def __repr__(self) -> str:
        """Without the key, wherever this may be printed."""
        return f"Settings({self.mountpoint}, {self.api_url})"


def parse_size(text: str) -> int:
    """Bytes from a number with an optional K, M, G or T (powers of 1024).

    Raises:
        ValueError: it is no such size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a size{_quoted(text)}; write for example 256M")
    return int(match["number"]) * _UNITS[match["unit"].upper()]


def parse_memory(text: str) -> int:
    """Bytes for the budget, enough to read at all.

    Raises:
        ValueError: it is no such size.
    """
    size = parse_size(text)
    if size < MEMORY_MIN:
        raise ValueError("must be 1M or more")
    return size


def parse_seconds(text: str) -> float:
    """A number of seconds, 0 or more.

    Raises:
        ValueError: it is none.
    """
    # Of what float() takes, neither digits of other scripts nor `1_0`, which may be a slip.
    seconds = float(text) if _SECONDS.fullmatch(text) else math.inf
    if not math.isfinite(seconds):
        raise ValueError(f"not a number of seconds{_quoted(text)}")
    return seconds


def parse_positive_seconds(text: str) -> float:
    """A number of seconds above 0, of a year at most: the system waits for no longer (select(2)).

    Raises:
        ValueError: it is none.
    """
    seconds = parse_seconds(text)
    if seconds == 0:
        raise ValueError("must be more than 0 seconds")
    if seconds > _YEAR_SECONDS:
        raise ValueError("must be a year at most")
    return seconds


def parse_url_ttl(text: str) -> float:
    """A number of seconds for which a signed URL may be kept.

    Raises:
        ValueError: it is none.
    """
    seconds = parse_positive_seconds(text)
    if seconds >= URL_LIFE_SECONDS:
        raise ValueError(f"must be under {URL_LIFE_SECONDS}, which is how long a signed URL lives")
    return seconds


def parse_path(text: str) -> Path:
    """The name of a file, which is not empty: that would be the current directory.

    Raises:
        ValueError: it is.
    """
    return Path(parse_word(text))


def parse_word(text: str) -> str:
    """A text that is not empty, as that of a variable is that nobody has set.

    Raises:
        ValueError: it is.
    """
    if not text:
        raise ValueError("is empty")
    return text


def parse_api_url(text: str, source: str = "--api-url") -> httpx.URL:
    """The origin of the API; `source` is who says so.

    Raises:
        UsageError: an option gives what is not a URL to which a key may be sent.
        SetupError: somebody else does.
    """
    wrong = UsageError if source.startswith("-") else SetupError
    try:
        url = parse_fetchable(text.strip())
    except UnsafeUrl as error:
        raise wrong(f"{source}: this is {error}; write for example {DEFAULT_API_URL}") from error
    if url.query or url.fragment:
        raise wrong(f"{source} takes no query and no fragment; write for example {DEFAULT_API_URL}")
    return url


def looks_like_a_word(text: str) -> bool:
    """Whether this may be shown where it may be a key in the wrong place: small letters, and few of them."""
    return _WORD.fullmatch(text) is not None


def take_key(key_file: Path | None, variable: str | None, source: str = "--key-file") -> str:
    """The key, from the file if there is one, else from the environment.

    Args:
        key_file: the file.
        variable: what `take_key_variable` has found.
        source: who named the file.

    Raises:
        SetupError: there is none, others can read the file, or it is not a key.
    """
    if key_file is not None:
        key, place = _read_key_file(key_file, source), str(key_file)
    elif variable is not None:
        key, place = variable, KEY_VARIABLE
    else:
        raise SetupError(
            f"no API key; set {KEY_VARIABLE}, or give --key-file FILE"
            " (the Empirical dashboard, under API keys, has yours)"
        )
    key = key.strip()
    if wrong := _what_is_wrong(key):
        raise SetupError(f"the API key in {place} {wrong}")
    return key


def _what_is_wrong(key: str) -> str | None:
    """Why this is no key, in words that do not hold it."""
    if len(key) > _KEY_MAX:
        return f"is longer than {_KEY_MAX // 2**10} KiB, as no key is; this may be another file"
    if key.startswith(_QUOTES) or key.endswith(_QUOTES):
        return "is in quotes; write the key alone"
    if _NAMED_KEY.fullmatch(key):
        return "is written as NAME=KEY; write the key alone"
    if not _KEY.fullmatch(key):
        return "is empty or has spaces or unprintable characters in it"
    return None


def _read_key_file(path: Path, source: str) -> str:
    try:
        content = read_named(
            path, _KEY_FILE_MAX, lambda file: check_secret(os.fstat(file), "key file", str(path))
        )
    except OSError as error:
        # What is no file may be the key itself.
        if not os.path.lexists(path):
            raise SetupError(
                f"cannot read the key file: {source} names none that is there; it takes the name of a file,"
                " and not the key"
            ) from None
        raise SetupError(f"cannot read the key file {path}: {error.strerror}") from error
    return content.decode("ascii", errors="replace")


def _quoted(text: str) -> str:
    """A text that is not what it should be, to be shown where it is too short to be a key."""
    return f": {text!r}" if len(text) <= _NO_KEY_LENGTH else ""
