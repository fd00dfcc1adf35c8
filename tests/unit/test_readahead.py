from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.readahead import FIRST_WINDOW, LARGEST_WINDOW, REORDERING, Range, ReadAhead

KIB, MIB = 2**10, 2**20
STEP = 128 * KIB


def sequential(cursor: ReadAhead, size: int, step: int = STEP, start: int = 0) -> list[Range]:
    """What is planned while a file is read to its end."""
    plans = (cursor.plan(at, min(at + step, size)) for at in range(start, size, step))
    return [plan for plan in plans if plan is not None]


def is_contiguous(plans: list[Range]) -> bool:
    return all(before.stop == after.start for before, after in pairwise(plans))


@given(st.integers(1, 64 * MIB), st.sampled_from([4 * KIB + 1, 64 * KIB, STEP, 2 * STEP]))
def test_a_sequential_reader(size: int, step: int) -> None:
    """What is planned has neither gaps nor overlaps, goes to the end and not past it, in bounded windows."""
    if size // step > 5000:
        size = 5000 * step
    cursor = ReadAhead(size)
    plans = sequential(cursor, size, step)
    assert is_contiguous(plans)
    assert all(0 < plan.size <= LARGEST_WINDOW and plan.stop <= size for plan in plans)
    assert not plans or plans[-1].stop == size
    if size > 2 * step:
        assert plans[0].start == 2 * step


def test_windows_double() -> None:
    """The first window is small, each that is used earns one of twice its size, up to the largest."""
    sizes = [plan.size for plan in sequential(ReadAhead(10**9), 64 * MIB)]
    doubling = [FIRST_WINDOW * 2**turn for turn in range(10)]
    expected = [min(size, LARGEST_WINDOW) for size in doubling]
    assert sizes[:8] == expected[:8]


def test_never_far_ahead() -> None:
    """A reader is never ahead of its plans, nor these by more than a window and a half of it."""
    cursor, ahead = ReadAhead(10**9), 0
    for at in range(0, 128 * MIB, STEP):
        plan = cursor.plan(at, at + STEP)
        ahead = plan.stop if plan else ahead
        assert at == 0 or at + STEP <= ahead <= at + STEP + LARGEST_WINDOW * 3 // 2


def test_one_read_earns_nothing() -> None:
    """The first read of a file plans nothing, wherever it is."""
    assert ReadAhead(10**9).plan(0, STEP) is None
    assert ReadAhead(10**9).plan(5 * MIB, 5 * MIB + STEP) is None


@given(st.lists(st.integers(0, 999), max_size=50))
def test_a_random_reader(places: list[int]) -> None:
    """Reads that are all over the place plan nothing."""
    cursor, before = ReadAhead(1000 * MIB), None
    for place in places:
        # Neither the place before nor the one after it: that would be reading on.
        if before is not None and abs(place - before) <= 1:
            continue
        before = place
        plan = cursor.plan(place * MIB, place * MIB + STEP)
        assert plan is None or place == 0


@given(st.integers(1, 200), st.randoms(use_true_random=False))
def test_a_reordered_reader(reads: int, random: Random) -> None:
    """Reads that the kernel sends out of order by a little count as one stream, planned once."""
    size = reads * STEP
    at = list(range(0, size, STEP))
    for index in range(0, len(at) - 1, 2):
        if random.random() < 0.5:
            at[index], at[index + 1] = at[index + 1], at[index]
    cursor = ReadAhead(size)
    plans = [plan for plan in (cursor.plan(start, start + STEP) for start in at) if plan is not None]
    assert is_contiguous(plans)
    assert reads <= 3 or plans[-1].stop == size


READS = st.tuples(st.integers(0, 40), st.integers(1, 4), st.booleans())


@given(st.lists(READS, max_size=60), st.integers(1, 41 * STEP))
def test_any_reader(reads: list[tuple[int, int, bool]], size: int) -> None:
    """Whatever is read, and refused, a plan begins at the read's end or later, and stays within the file."""
    cursor = ReadAhead(size)
    for place, length, is_refused in reads:
        start, stop = min(place * STEP, size - 1), min((place + length) * STEP, size)
        plan = cursor.plan(start, stop)
        if plan is not None:
            assert stop <= plan.start < plan.stop <= size
            assert plan.size <= LARGEST_WINDOW
            if is_refused:
                cursor.refuse(plan)


def test_a_seek_loses_the_window() -> None:
    """After a seek the window has to be earned again, from the new place."""
    cursor = ReadAhead(10**9)
    sequential(cursor, 32 * MIB)
    far = 500 * MIB
    assert cursor.plan(far, far + STEP) is None
    assert cursor.plan(far + STEP, far + 2 * STEP) == Range(far + 2 * STEP, far + 2 * STEP + FIRST_WINDOW)


def test_refused() -> None:
    """What there was no memory for is planned again, and half as much, but never next to nothing."""
    cursor = ReadAhead(10**9)
    cursor.plan(0, STEP)
    sizes = []
    for turn in range(1, 6):
        plan = cursor.plan(turn * STEP, (turn + 1) * STEP)
        assert plan is not None
        assert plan.start == (turn + 1) * STEP
        sizes.append(plan.size)
        cursor.refuse(plan)
    assert sizes == [FIRST_WINDOW, FIRST_WINDOW // 2, REORDERING, REORDERING, REORDERING]


def test_range_size() -> None:
    """The size of a range is the number of its bytes."""
    assert Range(3, 10).size == 7
