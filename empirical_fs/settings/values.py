"""Parses the values of settings from the texts that users write."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from empirical_fs.errors import Trouble

API_URL_VARIABLE = "EMPIRICAL_API_URL"
DEFAULT_API_URL = "https://dash.empirical.run"
METRICS_VARIABLE = "EMPIRICAL_METRICS"
DEFAULT = "default"
"""The source of a setting that the user did not give."""
URL_LIFE_SECONDS = 3600
"""For how many seconds a signed URL is valid (seeds/list-resources.txt)."""

_YEAR_SECONDS = 366 * 86_400

MEMORY_MIN = 2**20
"""The least budget in bytes with which files can be read."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]{1,20}")
_PERCENT = re.compile(r"(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_PERCENT_MAX = 100
_SWITCH = {"on": True, "true": True, "off": False, "false": False}
_WORD = re.compile(r"[a-z_-]{1,20}")
_LISTENING_ADVICE = "write for example 9000, 0.0.0.0:9000 or [::1]:9000"
_LOOPBACK, _IPV6 = "127.0.0.1", 6
_PORT_MAX, _PORT_DIGITS = 2**16 - 1, 5
_NO_KEY_LENGTH = 5
"""A text of up to so many characters cannot be a key, and may be shown."""


class WrongValue(ValueError):
    """A text is not a valid value of a setting; says what is wrong, and what to write."""

    def __init__(self, what: str, advice: str | None = None) -> None:
        """Store both texts; neither may contain a text that could be a key."""
        self.trouble = Trouble(what, advice)
        super().__init__(str(self.trouble))


@dataclass(frozen=True, slots=True)
class MinFree:
    """How much of a disk is to be left free: a number of bytes, or a percentage of the disk."""

    bytes: int = 0
    percent: float = 0.0

    def __str__(self) -> str:
        """As the user may write it."""
        return f"{self.percent:g}%" if self.percent else str(self.bytes)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens."""

    host: str
    """An IP address."""
    port: int

    def __str__(self) -> str:
        """As the user may write it, and as it is in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """Parse `PORT`, which means of this machine only, or `ADDRESS:PORT`.

    Raises:
        WrongValue: it is neither. Port 0 is refused: it would be another one for each mount.
    """
    from ipaddress import ip_address  # noqa: PLC0415 - few commands need it

    host, colon, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= _PORT_DIGITS) or bool(colon) != bool(host):
        raise WrongValue(f"not a port{_quoted(text)}", _LISTENING_ADVICE)
    if not 0 < int(port) <= _PORT_MAX:
        raise WrongValue(f"must be a port from 1 to {_PORT_MAX}")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host or _LOOPBACK
    try:
        address = ip_address(_LOOPBACK if host == "localhost" else host)
    except ValueError as error:
        raise WrongValue("not an IP address before the port", _LISTENING_ADVICE) from error
    if (address.version == _IPV6) != is_bracketed:
        raise WrongValue("only an IPv6 address stands in brackets", _LISTENING_ADVICE)
    return ListenAddress(str(address), int(port))


def parse_switch(text: str) -> bool:
    """Parse the value of a switch.

    Raises:
        WrongValue: it is neither on nor off.
    """
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError as error:
        raise WrongValue(f"not a switch{_quoted(text)}", "write on or off") from error


def parse_min_free(text: str) -> MinFree:
    """Parse how much of a disk is to be left free: a size, or a percentage of the disk.

    Raises:
        WrongValue: it is neither, or more than 100%.
    """
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        try:
            return MinFree(bytes=parse_size(text))
        except WrongValue as error:
            raise WrongValue(
                f"neither a size nor a percentage{_quoted(text)}", "write for example 2G or 5%"
            ) from error
    if (percent := float(match["percent"])) > _PERCENT_MAX:
        raise WrongValue("must be 100% at most")
    return MinFree(percent=percent)


def parse_size(text: str) -> int:
    """Parse a size in bytes: a number with an optional K, M, G or T (powers of 1024).

    Raises:
        WrongValue: it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise WrongValue(f"not a size{_quoted(text)}", "write for example 256M")
    return int(match["number"]) * _UNITS[match["unit"].upper()]


def parse_memory(text: str) -> int:
    """Parse the memory budget in bytes.

    Raises:
        WrongValue: it is not a size, or too small to read files with.
    """
    size = parse_size(text)
    if size < MEMORY_MIN:
        raise WrongValue("must be 1M or more")
    return size


def parse_seconds(text: str) -> float:
    """Parse a number of seconds, 0 or more.

    Raises:
        WrongValue: it is not such a number.
    """
    # float() also accepts digits of other scripts, and `1_0`, which may be a slip: reject these.
    seconds = float(text) if _SECONDS.fullmatch(text) else math.inf
    if not math.isfinite(seconds):
        raise WrongValue(f"not a number of seconds{_quoted(text)}", "write for example 30")
    return seconds


def parse_positive_seconds(text: str) -> float:
    """Parse a number of seconds above 0, at most a year: the system cannot wait longer (select(2)).

    Raises:
        WrongValue: it is not such a number.
    """
    seconds = parse_seconds(text)
    if seconds == 0:
        raise WrongValue("must be more than 0 seconds")
    if seconds > _YEAR_SECONDS:
        raise WrongValue("must be a year at most")
    return seconds


def parse_url_ttl(text: str) -> float:
    """Parse the number of seconds for which a signed URL may be cached.

    Raises:
        WrongValue: it is not a number, or not less than the life of a signed URL.
    """
    seconds = parse_positive_seconds(text)
    if seconds >= URL_LIFE_SECONDS:
        raise WrongValue(f"must be under {URL_LIFE_SECONDS}, which is how long a signed URL lives")
    return seconds


def parse_path(text: str) -> Path:
    """Parse the name of a file, which must not be empty: that would mean the current directory.

    Raises:
        WrongValue: it is empty.
    """
    return Path(parse_word(text))


def parse_word(text: str) -> str:
    """Check that a text is not empty, as that of an unset shell variable is.

    Raises:
        WrongValue: it is empty.
    """
    if not text:
        raise WrongValue("is empty", "give one, or leave the option out")
    return text


def looks_like_a_word(text: str) -> bool:
    """Whether a text cannot be a misplaced key, so that it may be shown: few lower-case letters only."""
    return _WORD.fullmatch(text) is not None


def _quoted(text: str) -> str:
    """A wrong value for a message; empty if it is long enough to be a key."""
    return f": {text!r}" if len(text) <= _NO_KEY_LENGTH else ""
