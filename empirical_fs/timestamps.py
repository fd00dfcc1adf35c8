"""Parses timestamps in the forms that an API may send, and the dates of HTTP."""

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

_ISO8601 = re.compile(
    r"(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
    r"(?:(?:[Tt ]|(?=[0-9]{6}\Z))(?P<hour>[0-9]{2})(?P<colon>:?)(?P<minute>[0-9]{2})"
    r"(?:(?P=colon)(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r"\s?(?:(?P<utc>[Zz]|UTC|GMT)|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)?)?"
)
_HTTP_DATE = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:GMT|UTC|[+-][0-9]{4})"
    r"|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}"
)
"""The three forms of RFC 9110, 5.6.7; the first also with a numeric offset, as in mail."""
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,20})?")
_TEXT_MAX = 100
"""The most characters of a timestamp; no useful one is longer."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECOND_DIGITS = 9
_LEAP_SECOND = 60
_EARLIEST_NS, _LATEST_NS = -(2**31) * 10**9, (2**34 - 2**31 - 1) * 10**9
"""The dates that a file on ext4 can have: 1901-12-13 20:45:52 to 2446-05-10 22:38:55 (the kernel's
documentation of ext4, "Inode Timestamps"); XFS, btrfs and ZFS go as far or further."""
_COMMON_LENGTHS, _COMMON_MARKS = (20, 24, 27), ("-", "-", "T", "Z")
"""RFC 3339 in UTC, to the second, millisecond or microsecond: Python's own parser is ten times as fast."""
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**19, 1))
"""(limit, ns): numbers below the limit count units of so many ns: s until 5138, ms from 1973, etc."""


def nanoseconds_since_epoch(value: object) -> int | None:
    """The time of a timestamp, in nanoseconds since the epoch; None if `value` is not a timestamp.

    It may be a text in the format of RFC 3339 or ISO 8601, also without separators or the time of day; an
    HTTP date (RFC 9110); or seconds, milliseconds, microseconds or nanoseconds since the epoch, distinguished
    by their magnitude, as a number or as digits in a text. Eight digits in a text are a date, and fourteen
    are a date and a time. A timestamp without an offset is taken as UTC; digits finer than a nanosecond are
    cut off. A leap second counts as the second after it, as in POSIX time.
    """
    if isinstance(value, str):
        return _of_text(value.strip())
    if type(value) is int and abs(value) < _UNITS[-1][0]:
        return _of_number(Decimal(value))
    if isinstance(value, float) and math.isfinite(value):
        # The shortest decimal form is what was sent; the float itself differs by some nanoseconds.
        return _of_number(Decimal(repr(value)))
    return None


def storable(moment_ns: int) -> int:
    """The nearest time that a file on a common file system can have, in nanoseconds since the epoch.

    If a copy could not have the file's date, each `rsync -a` would copy it again.
    """
    return min(max(moment_ns, _EARLIEST_NS), _LATEST_NS)


def _of_text(text: str) -> int | None:
    if len(text) in _COMMON_LENGTHS and (text[4], text[7], text[10], text[-1]) == _COMMON_MARKS:
        try:
            return _since_epoch(datetime.fromisoformat(text))
        except ValueError:
            pass  # a leap second, perhaps
    if match := _ISO8601.fullmatch(text):
        return _of_match(match)
    if len(text) > _TEXT_MAX:
        return None
    if _NUMBER.fullmatch(text):
        return _of_number(Decimal(text))
    return _of_http_date(text) if _HTTP_DATE.fullmatch(text) else None


def _of_number(number: Decimal) -> int | None:
    units = (nanoseconds for limit, nanoseconds in _UNITS if abs(number) < limit)
    unit = next(units, None)
    return None if unit is None else math.floor(number * unit)


def _of_http_date(text: str) -> int | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds: int = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000


def _since_epoch(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _of_match(match: re.Match[str]) -> int | None:
    second, leap = int(match["second"] or 0), 0
    if second == _LEAP_SECOND:
        second, leap = 59, 1
    date = f"{match['year']}-{match['month']}-{match['day']}"
    time = f"{match['hour'] or '00'}:{match['minute'] or '00'}:{second:02}"
    try:
        moment = datetime.fromisoformat(f"{date}T{time}+00:00")
    except ValueError:
        return None
    offset = timedelta()
    if match["sign"]:
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
        if match["sign"] == "-":
            offset = -offset
    since = (moment - _EPOCH) - offset
    seconds = since.days * 86_400 + since.seconds + leap
    fraction = (match["fraction"] or "")[:_NANOSECOND_DIGITS].ljust(_NANOSECOND_DIGITS, "0")
    return seconds * 1_000_000_000 + int(fraction)


def http_date(text: str) -> float | None:
    """The time of an HTTP date (RFC 9110, 5.6.7) in seconds since the epoch; None if it is not a date."""
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
