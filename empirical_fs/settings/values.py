"""The values of settings, from the texts that users write."""

import math
import re
from pathlib import Path

from empirical_fs.errors import Trouble

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
_WORD = re.compile(r"[a-z_-]{1,20}")
_NO_KEY_LENGTH = 5
"""Characters up to which a text cannot be a key, and may be shown."""


class WrongValue(ValueError):
    """A text is no value of a setting: it says what is wrong, and what is right."""

    def __init__(self, what: str, advice: str | None = None) -> None:
        """Keep both; neither shows a text that may be a key."""
        self.trouble = Trouble(what, advice)
        super().__init__(str(self.trouble))


def parse_size(text: str) -> int:
    """Bytes from a number with an optional K, M, G or T (powers of 1024).

    Raises:
        WrongValue: it is no such size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise WrongValue(f"not a size{_quoted(text)}", "write for example 256M")
    return int(match["number"]) * _UNITS[match["unit"].upper()]


def parse_memory(text: str) -> int:
    """Bytes for the budget, enough to read at all.

    Raises:
        WrongValue: it is no such size.
    """
    size = parse_size(text)
    if size < MEMORY_MIN:
        raise WrongValue("must be 1M or more")
    return size


def parse_seconds(text: str) -> float:
    """A number of seconds, 0 or more.

    Raises:
        WrongValue: it is none.
    """
    # Of what float() takes, neither digits of other scripts nor `1_0`, which may be a slip.
    seconds = float(text) if _SECONDS.fullmatch(text) else math.inf
    if not math.isfinite(seconds):
        raise WrongValue(f"not a number of seconds{_quoted(text)}", "write for example 30")
    return seconds


def parse_positive_seconds(text: str) -> float:
    """A number of seconds above 0, of a year at most: the system waits for no longer (select(2)).

    Raises:
        WrongValue: it is none.
    """
    seconds = parse_seconds(text)
    if seconds == 0:
        raise WrongValue("must be more than 0 seconds")
    if seconds > _YEAR_SECONDS:
        raise WrongValue("must be a year at most")
    return seconds


def parse_url_ttl(text: str) -> float:
    """A number of seconds for which a signed URL may be kept.

    Raises:
        WrongValue: it is none.
    """
    seconds = parse_positive_seconds(text)
    if seconds >= URL_LIFE_SECONDS:
        raise WrongValue(f"must be under {URL_LIFE_SECONDS}, which is how long a signed URL lives")
    return seconds


def parse_path(text: str) -> Path:
    """The name of a file, which is not empty: that would be the current directory.

    Raises:
        WrongValue: it is.
    """
    return Path(parse_word(text))


def parse_word(text: str) -> str:
    """A text that is not empty, as that of a variable is that nobody has set.

    Raises:
        WrongValue: it is.
    """
    if not text:
        raise WrongValue("is empty", "give one, or leave the option out")
    return text


def looks_like_a_word(text: str) -> bool:
    """Whether this may be shown where it may be a key in the wrong place: small letters, and few of them."""
    return _WORD.fullmatch(text) is not None


def _quoted(text: str) -> str:
    """A text that is not what it should be, to be shown where it is too short to be a key."""
    return f": {text!r}" if len(text) <= _NO_KEY_LENGTH else ""
