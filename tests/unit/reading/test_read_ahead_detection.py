"""Which reads the kernel may have sent ahead of the program, and how short they are put off."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.read_ahead_detection import CERTAIN_AT, ReadAheadDetector, pause

KIB = 2**10
SIZES = st.integers(1, 64).map(lambda pages: pages * 4 * KIB)


@given(st.lists(SIZES, min_size=1, max_size=60))
def test_what_follows_an_answer_may_be_ahead(sizes: list[int]) -> None:
    """Each read that follows an answered one may be the kernel's own, until much was read in one go."""
    detector, at = ReadAheadDetector(), 0
    for size in sizes:
        read = object()
        assert detector.begin(read, at, at + size) is (at > 0 and at + size <= CERTAIN_AT)
        detector.end(read)
        at += size


@given(st.lists(SIZES, min_size=2, max_size=8))
def test_what_comes_before_the_answer_is_wanted(sizes: list[int]) -> None:
    """Reads that one call of a program makes come before the first has its answer."""
    detector, at, numbers = ReadAheadDetector(), 0, count()
    for size in sizes:
        assert not detector.begin(next(numbers), at, at + size)
        at += size


@given(st.lists(SIZES, min_size=3, max_size=4))
def test_what_follows_what_is_ahead_is_ahead(sizes: list[int]) -> None:
    """A window of the kernel that comes in several reads is ahead as a whole."""
    detector = ReadAheadDetector()
    detector.begin(0, 0, sizes[0])
    detector.end(0)
    at = sizes[0]
    for number, size in enumerate(sizes[1:], 1):
        assert detector.begin(number, at, at + size)
        at += size


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60, unique=True))
def test_reads_here_and_there_are_wanted(places: list[int]) -> None:
    """A read that follows no other was asked for by a program."""
    detector = ReadAheadDetector()
    for number, place in enumerate(places):
        assert not detector.begin(number, place * 8 * KIB, place * 8 * KIB + 4 * KIB)
        detector.end(number)


def test_a_read_that_is_repeated_is_wanted() -> None:
    """Who was interrupted asks for the same bytes again, and has waited long enough."""
    detector = ReadAheadDetector()
    for number in range(3):
        assert not detector.begin(number, 0, 4 * KIB)
        detector.end(number)


def test_trusted_readers_do_not_wait() -> None:
    """Of who reads a file that was fetched ahead, nothing is put off."""
    detector = ReadAheadDetector()
    detector.trust()
    detector.begin(0, 0, 4 * KIB)
    detector.end(0)
    assert not detector.begin(1, 4 * KIB, 8 * KIB)


@given(st.floats(0, 60))
def test_a_pause_is_short(round_trip: float) -> None:
    """It is nothing beside the round trip that it may save, and nothing where that is not known."""
    assert 0 <= pause(round_trip) <= min(round_trip / 5, 0.015)
