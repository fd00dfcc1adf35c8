"""RFC 3339 timestamps as nanoseconds since the epoch."""

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}):(?P<second>[0-9]{2})"
    r"(?:[.,](?P<fraction>[0-9]+))?"
    r"\s?(?:(?P<utc>[Zz])|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECOND_DIGITS = 9
_LEAP_SECOND = 60


def nanoseconds_since_epoch(text: object) -> int | None:
    """The moment that an RFC 3339 timestamp names, in nanoseconds; None if it names none.

    A timestamp without an offset is taken as UTC; digits finer than a nanosecond are cut off. A leap
    second counts as the second after it, as POSIX time does.
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    second, leap = int(match["second"]), 0
    if second == _LEAP_SECOND:
        second, leap = 59, 1
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['time']}:{second:02}+00:00")
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
