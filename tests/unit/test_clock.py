"""A deadline counts down, and the clock for what ages goes on while the machine sleeps."""

import math
import time

import pytest

from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import DeadlinePassed


def test_deadline_counts_down() -> None:
    """What remains of a deadline is above zero and shrinks."""
    deadline = Deadline.after(100)
    first, second = deadline.remaining(), deadline.remaining()
    assert 0 < second <= first <= 100


@pytest.mark.parametrize("seconds", [0, -1, -math.inf])
def test_deadline_that_has_passed(seconds: float) -> None:
    """Nothing remains at the deadline and after it."""
    with pytest.raises(DeadlinePassed):
        Deadline.after(seconds).remaining()


def test_aging_clock_is_boottime() -> None:
    """The aging clock never runs behind the monotonic one, which stands still in suspend."""
    monotonic = time.monotonic()
    first, second = aging_clock(), aging_clock()
    assert monotonic <= first <= second
