"""A read goes on when the fetch of another read has failed, unless it has waited with that for long."""

import time

import pytest

from empirical_fs.errors import ContentChanged, DeadlinePassed, EmpiricalError, KeyRefused, StoreUnavailable
from empirical_fs.reading.buffers import Blocks, MemoryBuffer
from empirical_fs.reading.cursor import Cursor
from empirical_fs.reading.part import Part
from empirical_fs.reading.pending_read import PendingRead
from empirical_fs.reading.read_ahead import Range
from tests.unit.conftest import Waiting

SILENT = StoreUnavailable("silent")


def goes_on(error: EmpiricalError, lasted: float, waited: float, *, is_own: bool = False) -> bool:
    """Whether a read goes on that has waited so many seconds, after a fetch that has lasted so many."""
    part = Part(0, 10, MemoryBuffer(10, Blocks()))
    with part.filling() as is_ours:
        assert is_ours
        part.fail(error)
    part.lasted = lasted
    begun = time.monotonic() - waited
    new = [part] if is_own else []
    read = PendingRead(Cursor(10), Range(0, 10), Waiting(), [part], new, waited=True, begun=begun)
    try:
        read.check_end(part, None)
    except type(error):
        return False
    return True


@pytest.mark.parametrize("error", [SILENT, DeadlinePassed("late")])
def test_who_has_waited_with_it_for_long_fails_with_it(error: EmpiricalError) -> None:
    assert not goes_on(error, 28, 27)
    assert not goes_on(error, 28, 15)
    assert goes_on(error, 28, 5)
    assert goes_on(error, 28, 0)


def test_what_failed_soon_is_fetched_again() -> None:
    assert goes_on(SILENT, 0.1, 0.1)
    assert goes_on(SILENT, 0.1, 28)


def test_other_errors_are_those_of_the_fetch_only() -> None:
    assert goes_on(KeyRefused(401), 28, 27)
    assert not goes_on(ContentChanged("new"), 28, 0)
    assert not goes_on(SILENT, 0.1, 0.1, is_own=True)


def test_a_part_knows_how_long_its_fetch_has_lasted() -> None:
    part = Part(0, 10, MemoryBuffer(10, Blocks()))
    begun = time.monotonic()
    with part.filling():
        while time.monotonic() - begun < 0.05:
            pass
        assert part.lasted == 0
        part.fail(SILENT)
    assert 0.05 <= part.lasted <= time.monotonic() - begun
