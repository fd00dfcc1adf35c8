"""Timestamps in every form that an API or HTTP may send, to the nanosecond; anything else is none."""

from calendar import timegm
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.timestamps import nanoseconds_since_epoch, storable

EPOCH = datetime(1970, 1, 1)
MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))
FRACTIONS = st.text("0123456789", max_size=12)


def at(*moment: int, nanoseconds: int = 0) -> int:
    return timegm((*moment, 0, 0, 0)[:6]) * 10**9 + nanoseconds


@given(
    MOMENTS,
    FRACTIONS,
    st.none() | st.just("Z") | st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["T", "t", " "]),
)
def test_every_moment_to_the_nanosecond(
    moment: datetime, fraction: str, offset: int | str | None, separator: str
) -> None:
    """A timestamp means what datetime arithmetic makes of it, with any offset, to the nanosecond given."""
    text = f"{moment:%m-%d}{separator}{moment:%H:%M:%S}"
    text = f"{moment.year:04}-{text}" + (f".{fraction}" if fraction else "")
    minutes = 0
    if isinstance(offset, int):
        minutes = offset
        text += f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    elif offset is not None:
        text += offset
    seconds = (moment - EPOCH) // timedelta(seconds=1) - minutes * 60
    assert nanoseconds_since_epoch(text) == seconds * 10**9 + int(fraction[:9].ljust(9, "0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-02-01T12:30:45.123456789Z", at(2026, 2, 1, 12, 30, 45, nanoseconds=123_456_789)),
        ("2026-02-01t12:30:45.1z", at(2026, 2, 1, 12, 30, 45, nanoseconds=100_000_000)),
        ("2026-02-01T12:30:45+02:00", at(2026, 2, 1, 10, 30, 45)),
        ("2026-02-01T12:30:45-0330", at(2026, 2, 1, 16, 0, 45)),
        ("2026-02-01 12:30:45+00", at(2026, 2, 1, 12, 30, 45)),
        ("2026-02-01T12:30:45.1234567891Z", at(2026, 2, 1, 12, 30, 45, nanoseconds=123_456_789)),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1)),
        ("2016-12-31T23:59:60.5Z", at(2017, 1, 1, nanoseconds=500_000_000)),
        ("0001-01-01T00:00:00+23:59", at(1, 1, 1) - (23 * 60 + 59) * 60 * 10**9),
        ("2026-02-01T12:30:45Z\n", at(2026, 2, 1, 12, 30, 45)),
        ("  2026-02-01 12:30:45 ", at(2026, 2, 1, 12, 30, 45)),
        ("2026-02-01T12:30:45.5 UTC", at(2026, 2, 1, 12, 30, 45, nanoseconds=500_000_000)),
        ("2026-02-01T12:30Z", at(2026, 2, 1, 12, 30)),
        ("2026-02-01", at(2026, 2, 1)),
        ("20260201", at(2026, 2, 1)),
        ("20260201T123045Z", at(2026, 2, 1, 12, 30, 45)),
        ("20260201T123045.25+0200", at(2026, 2, 1, 10, 30, 45, nanoseconds=250_000_000)),
        ("20260201T1230", at(2026, 2, 1, 12, 30)),
        ("20260201123045", at(2026, 2, 1, 12, 30, 45)),
        ("9999-12-31T23:59:59-23:59", at(9999, 12, 31, 23, 59, 59) + (23 * 60 + 59) * 60 * 10**9),
    ],
)
def test_examples(text: str, expected: int) -> None:
    """`Z`, lower case, offsets, a leap second, and the ends of the calendar."""
    assert nanoseconds_since_epoch(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        None,
        True,
        float("nan"),
        float("inf"),
        10**19,
        -(10**19),
        10**4000,
        1e300,
        b"2026-02-01T12:30:45Z",
        ["2026-02-01T12:30:45Z"],
        "",
        "yesterday",
        "12:30:45",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-01T25:00:00Z",
        "2026-02-01T12:60:00Z",
        "2026-02-01T12:30:61Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-2026-02-01T12:30:45Z",
        "2026-02-01T12:30:45.Z",
        "2026-02-01T12:30:45ZZ",
        "2026-02-01T12:30:45+2",
        "2026-0201",
        "2026-02-01T1230:45Z",
        "2026-02-01X12:30:45Z",
        "2026-02-01-12:30",
        "2026-02-01T24:00:00Z",
        "01/02/2026",
        "Feb 1, 2026",
        "9" * 19 + "9",
        "9" * 5000,
        "1_0",
        "+5",
        "0x5",
        "1e9",
        "1769949045.",
        "nan",
        "Sun, 31 Feb 2026 12:30:45 GMT",
        "Sun, 01 Feb 2026 12:30:45 XYZ",
        "Sun, 01 Feb 2026 25:30:45 GMT",
        "\uff12\uff10\uff12\uff16-02-01T12:30:45Z",
        "\ud800",
    ],
)
def test_what_is_no_timestamp(text: object) -> None:
    """What is no timestamp in any of the forms names no moment."""
    assert nanoseconds_since_epoch(text) is None


NUMBERS: list[tuple[int | float | str, int]] = [
    (0, 0),
    (5, 5 * 10**9),
    (-5, -5 * 10**9),
    (1769949045, at(2026, 2, 1, 12, 30, 45)),
    (1769949045000, at(2026, 2, 1, 12, 30, 45)),
    (1769949045123, at(2026, 2, 1, 12, 30, 45, nanoseconds=123_000_000)),
    (1769949045123456, at(2026, 2, 1, 12, 30, 45, nanoseconds=123_456_000)),
    (1769949045123456789, at(2026, 2, 1, 12, 30, 45, nanoseconds=123_456_789)),
    (1769949045.0, at(2026, 2, 1, 12, 30, 45)),
    (1769949045.123, at(2026, 2, 1, 12, 30, 45, nanoseconds=123_000_000)),
    (1769949045123.5, at(2026, 2, 1, 12, 30, 45, nanoseconds=123_500_000)),
    (-0.5, -500_000_000),
    ("1769949045", at(2026, 2, 1, 12, 30, 45)),
    ("1769949045000", at(2026, 2, 1, 12, 30, 45)),
    (" 1769949045.123456789 ", at(2026, 2, 1, 12, 30, 45, nanoseconds=123_456_789)),
    (10**11 - 1, (10**11 - 1) * 10**9),
    (10**11, 10**11 * 10**6),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS)
def test_numbers_since_the_epoch(value: float | str, expected: int) -> None:
    """Seconds, milliseconds and finer are told apart by their magnitude, and exact to the nanosecond."""
    assert nanoseconds_since_epoch(value) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 01 Feb 2026 12:30:45 GMT",
        "Sun, 1 Feb 2026 12:30:45 GMT",
        "Sunday, 01-Feb-26 12:30:45 GMT",
        "Sun Feb  1 12:30:45 2026",
        "Sun, 01 Feb 2026 14:30:45 +0200",
    ],
)
def test_http_dates(text: str) -> None:
    """The three forms of RFC 9110 name a moment, whatever the zone here; one with an offset does too."""
    assert nanoseconds_since_epoch(text) == at(2026, 2, 1, 12, 30, 45)


@given(st.integers() | st.floats())
def test_any_number_is_a_moment_or_none(value: float) -> None:
    """A number gives a moment that a file system can hold, or none, and never an exception."""
    moment = nanoseconds_since_epoch(value)
    assert moment is None or abs(moment) <= 10**20


@given(
    st.text(st.characters())
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}", fullmatch=True
    )
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9:]+")
)
def test_nothing_else_comes_out(text: str) -> None:
    """Any text gives a number or None, and never an exception."""
    assert isinstance(nanoseconds_since_epoch(text), int | None)


@given(
    st.from_regex(
        r"[0-9]{4}[-0W][0-9W]{2}[-0-9][0-9]{2}T[0-9:]{8}(?:[.,](?:[0-9]{3}|[0-9]{6}))?Z", fullmatch=True
    )
)
def test_the_common_form_is_no_other(text: str) -> None:
    """What is parsed the fast way means the same as with an offset, which is parsed the other way."""
    assert nanoseconds_since_epoch(text) == nanoseconds_since_epoch(f"{text[:-1]}+00:00")


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (at(1, 1, 1), at(1901, 12, 13, 20, 45, 52)),
        (at(1901, 12, 13, 20, 45, 52) - 1, at(1901, 12, 13, 20, 45, 52)),
        (at(1903, 1, 1, nanoseconds=5), at(1903, 1, 1, nanoseconds=5)),
        (at(2446, 5, 10, 22, 38, 55, nanoseconds=1), at(2446, 5, 10, 22, 38, 55)),
        (at(9999, 12, 31), at(2446, 5, 10, 22, 38, 55)),
    ],
)
def test_dates_of_copies(moment: int, shown: int) -> None:
    """A date is shown as the nearest one that ext4 can hold."""
    assert storable(moment) == shown
