"""A read that failed fails for all who waited for it, and whoever tries again later reads anew."""

import pytest

from empirical_fs.errors import ContentChanged, EmpiricalError, StoreUnavailable
from empirical_fs.fuse.repeated_reads import Failure, Failures, FailuresOfOthers

PAGE = 4096
ERROR = StoreUnavailable("no answer in time")


def failed(
    start: int = 0, stop: int = 32 * PAGE, at: float = 100.0, error: EmpiricalError = ERROR
) -> Failures:
    failures = Failures()
    failures.note(Failure(start, stop, at, at + 1, error))
    return failures


def test_a_page_of_what_failed() -> None:
    """The page that somebody waited for belongs to the read that failed, with its deadline."""
    failure = failed().take(0, PAGE, 100.01)
    assert failure is not None
    assert (failure.deadline, failure.error) == (101, ERROR)


def test_each_page_once() -> None:
    """Several programs may wait for pages of one read; who asks for the same a third time reads anew."""
    failures = failed()
    assert failures.take(0, PAGE, 100.01) is not None
    assert failures.take(PAGE, 2 * PAGE, 100.01) is not None
    assert failures.take(0, PAGE, 100.02) is None
    assert failures.take(0, 32 * PAGE, 100.02) is None


def test_other_bytes() -> None:
    """What did not fail is another read."""
    failures = failed(PAGE, 2 * PAGE)
    assert failures.take(0, PAGE, 100) is None
    assert failures.take(2 * PAGE, 3 * PAGE, 100) is None


def test_a_moment_later() -> None:
    """A program that tries again later reads anew."""
    assert failed().take(0, PAGE, 110) is None


def test_few_are_remembered() -> None:
    """However many fail, what is remembered is bounded, and the latest is there."""
    failures = Failures()
    for number in range(1000):
        failures.note(Failure(number, number + 1, 100, 101, ERROR))
    assert failures.take(999, 1000, 100) is not None
    assert failures.take(0, 1, 100) is None


def test_what_is_left_of_the_time() -> None:
    """What failed early may be tried again in the time that is left; what failed late is not."""
    failure = failed().take(0, PAGE, 100)
    assert failure is not None
    assert failure.is_worth_trying(100.0, 4.0)
    assert not failure.is_worth_trying(100.7, 4.0)


def test_an_answer_is_no_matter_of_time() -> None:
    """What is found to have changed is found again, at once."""
    assert failed(error=ContentChanged("another one")).take(0, PAGE, 100) is None


@pytest.mark.parametrize(
    ("start", "opened_at", "now", "expected"),
    [
        (0, 99, 100.5, True),
        (PAGE, 99, 100.5, True),
        (0, 100.1, 100.5, False),
        (0, 99, 101.5, False),
        (9 * PAGE, 99, 100.5, False),
    ],
)
def test_those_who_waited_for_the_same(start: int, opened_at: float, now: float, *, expected: bool) -> None:
    """Whoever had the file open before may have waited as long, and nobody else."""
    others = FailuresOfOthers()
    others.note("content", Failure(0, 2 * PAGE, 100, 101, ERROR))
    assert (others.of("content", start, start + PAGE, opened_at, now) is not None) == expected
    assert others.of("another", start, start + PAGE, opened_at, now) is None


def test_errors_that_took_no_time() -> None:
    """They are found again at once, by whoever asks."""
    others = FailuresOfOthers()
    others.note("content", Failure(0, PAGE, 100, 101, ContentChanged("over")))
    assert others.of("content", 0, PAGE, 99, 100) is None
