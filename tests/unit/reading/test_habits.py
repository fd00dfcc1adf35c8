"""How far programs read in a file tells how far the next one will."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.habits import TRUSTED_AT, TRUSTED_EARLY, TRUSTED_LATE, Habits, is_whole

MIB = 2**20
FILES = st.tuples(st.integers(0, 100 * MIB), st.floats(0, 1.2)).map(
    lambda each: (each[0], int(each[0] * each[1]))
)


@given(st.lists(FILES))
def test_the_last_file_decides(closed: list[tuple[int, int]]) -> None:
    """Who left the last large file early makes the next reader wait for trust, who read it whole does not."""
    habits = Habits()
    for size, read in closed:
        habits.closed(size, read)
    telling = [is_whole(size, read) for size, read in closed if read and size >= MIB // 4]
    expected = {True: TRUSTED_EARLY, False: TRUSTED_LATE}[telling[-1]] if telling else TRUSTED_AT
    assert habits.trusted_at == expected


def test_what_the_next_reader_reads() -> None:
    """As much as the last one who left a file early, but for a mere look; nothing after a whole file."""
    habits = Habits()
    for read, expected in [(7 * MIB, 7 * MIB), (MIB // 8, 0), (7 * MIB, 7 * MIB), (100 * MIB, 0)]:
        habits.closed(100 * MIB, read, read)
        assert habits.expected == expected


@pytest.mark.parametrize(("size", "read"), [(100 * MIB, 0), (4096, 4096), (4096, 100)])
def test_what_says_nothing(size: int, read: int) -> None:
    """A file that was opened and not read, or that one look covers, changes nothing."""
    habits = Habits()
    habits.closed(size, read)
    assert habits.trusted_at == TRUSTED_AT
