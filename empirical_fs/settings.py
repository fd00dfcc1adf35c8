"""What the user asked for, checked before anything starts."""

import ctypes
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from empirical_fs.errors import SetupError, UnsafeUrl
from empirical_fs.mount_options import MountOptions
from empirical_fs.urls import parse_fetchable

KEY_VARIABLE = "EMPIRICALRUN_KEY"
API_URL_VARIABLE = "EMPIRICAL_API_URL"
DEFAULT_API_URL = "https://dash.empirical.run"
DEFAULT = "default"
"""The source of a setting that nobody gave."""
URL_LIFE_SECONDS = 3600
"""How long a signed URL lives (seeds/list-resources.txt)."""

MEMORY_MIN = 2**20
"""Bytes without which nothing can be read."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]+")
_KEY_FILE_MAX = 64 * 2**10


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
        raise ValueError(f"not a size: {text!r}; write for example 256M")
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
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"not a number of seconds: {text!r}")
    return seconds


def parse_positive_seconds(text: str) -> float:
    """A number of seconds above 0.

    Raises:
        ValueError: it is none.
    """
    seconds = parse_seconds(text)
    if seconds == 0:
        raise ValueError("must be more than 0 seconds")
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


def parse_api_url(text: str) -> httpx.URL:
    """The origin of the API.

    Raises:
        SetupError: it is not a URL to which a key may be sent.
    """
    try:
        url = parse_fetchable(text.strip())
    except UnsafeUrl as error:
        raise SetupError(f"--api-url: this is {error}; write for example {DEFAULT_API_URL}") from error
    if url.query or url.fragment:
        raise SetupError(f"--api-url takes no query and no fragment; write for example {DEFAULT_API_URL}")
    return url


def take_key(key_file: Path | None) -> str:
    """The key, from the file if there is one, else from the environment, where it is wiped.

    Raises:
        SetupError: there is none, others can read the file, or it is not a key.
    """
    from_environment = _take_from_environment()
    if key_file is not None:
        key, source = _read_key_file(key_file), str(key_file)
    elif from_environment is not None:
        key, source = from_environment, KEY_VARIABLE
    else:
        raise SetupError(
            f"no API key; set {KEY_VARIABLE}, or give --key-file FILE"
            " (the Empirical dashboard, under API keys, has yours)"
        )
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise SetupError(f"the API key in {source} is empty or has spaces or unprintable characters in it")
    return key


def _take_from_environment() -> str | None:
    """The key from the environment, overwritten in the memory that `ps e` and /proc/PID/environ show."""
    key = os.environ.get(KEY_VARIABLE)
    if key is None:
        return None
    library = ctypes.CDLL(None)
    library.getenv.restype = ctypes.c_void_p
    address = library.getenv(KEY_VARIABLE.encode())
    if address:
        ctypes.memset(address, 0, len(os.fsencode(key)))
    del os.environ[KEY_VARIABLE]
    return key


def _read_key_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SetupError(f"others than you can read the key file {path}; run: chmod 600 {path}")
            content = file.read(_KEY_FILE_MAX)
    except OSError as error:
        raise SetupError(f"cannot read the key file {path}: {error.strerror}") from error
    return content.decode("ascii", errors="replace")
