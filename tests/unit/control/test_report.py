"""What a mount may answer: ours, an older one's, or whatever a program has written there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.cli.status_table import table
from empirical_fs.control.report import NotOurs, check_report, parse_answer
from empirical_fs.errors import SetupError
from tests.unit.mount.test_status import REPORT

OPTIONAL = {"unreadable_entries", "unreadable_entries_kept", "entries_not_listed"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def test_reports() -> None:
    """A report is what it was, with fields of later versions, and without those of this one."""
    for report in (
        REPORT,
        {**REPORT, "colour": "blue"},
        {name: value for name, value in REPORT.items() if name not in OPTIONAL},
        {**REPORT, "mountpoint": "/\udcff"},
    ):
        assert check_report(parse_answer(json.dumps(report).encode())) == report


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"[]",
        b"7",
        b"null",
        b'"error"',
        b"[" * 7000,
        b'{"a":' * 3000,
        b'{"error": 5}',
        b'{"error": {}}',
        b'{"error": "gone", "advice": 5}',
        b'{"a": NaN}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=range(14),
)
def test_what_is_no_answer(text: bytes) -> None:
    """Whatever is not a JSON object."""
    with pytest.raises(NotOurs):
        parse_answer(text)


def test_errors() -> None:
    """What went wrong there is said, as much of it as one reads."""
    with pytest.raises(SetupError, match=r"^gone$"):
        parse_answer(b'{"error": "gone"}')
    with pytest.raises(SetupError) as caught:
        parse_answer(json.dumps({"error": "x" * 10_000}).encode())
    assert len(str(caught.value)) == 500
    with pytest.raises(SetupError, match=r"^gone; look$") as caught:
        parse_answer(b'{"error": "gone", "advice": "look"}')
    assert caught.value.advice == "look"
    with pytest.raises(SetupError) as caught:
        parse_answer(json.dumps({"error": "", "advice": "x" * 10_000}).encode())
    assert len(caught.value.advice or "") == 500


@pytest.mark.parametrize("name", sorted(REPORT.keys() - OPTIONAL))
def test_missing(name: str) -> None:
    """A report that lacks what every version has is none."""
    with pytest.raises(NotOurs):
        check_report({field: value for field, value in REPORT.items() if field != name})


FULL = {
    **REPORT,
    "failed_in_a_row": 1,
    "failing_for": 2.5,
    "offline": False,
    "listing_from_disk": True,
    "bytes_read": 5,
    "read_waits": {"count": 1, "seconds": 0.5},
    "requests": {"api": {"success": 1}, "store": {}},
    "passthrough": {"off_because": None, "open": 1, "opened": 2},
    "cache": {
        "folder": "/cache",
        "used": None,
        "limit": 5,
        "bytes_read": 5,
        "hits": 1,
        "misses": 1,
        "blocks_damaged": 0,
        "blocks_written": 0,
        "blocks_dropped": 0,
        "files_left_alone": 0,
        "evictions": 0,
        "bytes_evicted": 0,
        "paused": None,
    },
}


def with_each_replaced(value: Any, wrong: object) -> Iterator[object]:
    """`value` with one of the values in it replaced, for each."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: each} for each in with_each_replaced(inner, wrong))
    if value != wrong:
        yield wrong


@pytest.mark.parametrize("wrong", [[], {"a": ()}, -(2**70), 1.5e30, float("nan")], ids=repr)
def test_every_field_is_checked(wrong: object) -> None:
    """Whichever is of another kind, or too large, makes the whole none."""
    assert check_report(FULL) == FULL
    count = 0
    for changed in with_each_replaced(FULL, wrong):
        assert isinstance(changed, list | dict | int | float)
        with pytest.raises(NotOurs):
            check_report(changed)  # type: ignore[arg-type]
        count += 1
    assert count > 50


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(REPORT)), VALUES, max_size=2))
def test_whatever_is_said(changes: dict[str, Any]) -> None:
    """A report that is taken for one can be shown, and shows nothing raw."""
    try:
        report = check_report({**REPORT, **changes})
    except NotOurs:
        return
    assert all(line.isprintable() for line in table([report]).split("\n"))


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": 0},
        {"pid": 2**40},
        {"pid": "7"},
        {"pid": True},
        {"reads": 10**400},
        {"listing_age": 1e300},
        {"listing_age": 10**400},
        {"requests_in_flight": {}},
        {"settings": {"refresh": "5"}},
        {"errors": {"EIO": []}},
    ],
    ids=str,
)
def test_numbers_that_cannot_be(changes: dict[str, Any]) -> None:
    """Numbers that nothing could be counted with, and other shapes."""
    with pytest.raises(NotOurs):
        check_report({**REPORT, **changes})
