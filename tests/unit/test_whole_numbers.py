"""Whole numbers in every form that an API may send; anything else is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.whole_numbers import whole_number


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (5, 5), (-5, -5), (2**70, 2**70), ("0", 0), ("5", 5), (5.0, 5), (-0.0, 0), (2.0**53, 2**53)],
)
def test_numbers(value: object, number: int) -> None:
    """An integer, plain digits and a whole float are the number that they show."""
    assert whole_number(value) == number
    assert type(whole_number(value)) is int


OTHERS: list[object] = [
    None,
    True,
    False,
    [],
    {},
    [5],
    "",
    " 5",
    "5 ",
    "+5",
    "-5",
    "05",
    "1_0",
    "0x5",
    "5.0",
    "1e3",
    "NaN",
]
OTHERS += ["\u0665", "5\n", "9" * 5000, 5.5, float("nan"), float("inf"), -float("inf"), 1e300, 2.0**53 + 2]


@pytest.mark.parametrize("value", OTHERS, ids=lambda each: str(each)[:20])
def test_anything_else(value: object) -> None:
    """What is written in any other way is no number, nor is a float that may stand for several."""
    assert whole_number(value) is None


@given(st.text() | st.floats() | st.integers() | st.binary())
def test_whatever_comes(value: object) -> None:
    """Any value is a number or none, and never an exception."""
    assert type(whole_number(value)) in (int, type(None))
