"""Ranges are those of Python's slices, and near ones are fetched together. Policy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.engine.ranges import Span, _runs

OFFSET = st.integers(-30, 30) | st.none()


@given(start=OFFSET, stop=OFFSET, size=st.integers(0, 20))
def test_a_span_is_a_slice(start: int | None, stop: int | None, size: int) -> None:
    """Whatever its ends are."""
    content = bytes(range(size))
    first, last = Span(start, stop).within(size)
    assert 0 <= first <= last
    assert content[first:last] == content[start:stop]


@pytest.mark.parametrize(
    ("ranges", "gap", "expected"),
    [
        ([(0, 5), (5, 9)], 0, [(0, 9)]),
        ([(0, 5), (6, 9)], 0, [(0, 5), (6, 9)]),
        ([(0, 5), (6, 9)], 1, [(0, 9)]),
        ([(0, 50), (10, 20), (60, 70)], 10, [(0, 70)]),
        ([(0, 2**20), (2**20, 2**20 + 5)], 100, [(0, 2**20), (2**20, 2**20 + 5)]),
        ([(0, 5 * 2**20), (7, 9)], 100, [(0, 5 * 2**20), (7, 9)]),
        ([], 100, []),
    ],
)
def test_near_ranges_go_together(
    ranges: list[tuple[int, int]], gap: int, expected: list[tuple[int, int]]
) -> None:
    """Up to a length that one request should not exceed."""
    nobody: Any = None
    runs = list(_runs(nobody, [(*each, number) for number, each in enumerate(ranges)], gap))
    assert [(run.start, run.stop) for run in runs] == expected
    assert sorted(number for run in runs for *_, number in run.ranges) == list(range(len(ranges)))
    assert all(run.start <= start <= stop <= run.stop for run in runs for start, stop, _ in run.ranges)
