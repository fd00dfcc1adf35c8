"""A disk that does not answer is left alone until it does."""

import threading
from collections.abc import Callable

import pytest

from empirical_fs.cache.gate import Gate, StuckDisk
from tests.unit.cache.disks import Clock


class Alarms:
    """Rings what is due when the clock is moved on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.due: list[tuple[float, Callable[[], object]]] = []

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        self.due.append((self.clock.now + seconds, call))

    def move(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while ready := [each for each in self.due if each[0] <= end]:
            at, call = min(ready, key=lambda each: each[0])
            self.due.remove((at, call))
            self.clock.now = at
            call()
        self.clock.now = end


def test_nobody_joins_a_call_that_does_not_end_and_all_go_on_after_it() -> None:
    """Also without alarms: who comes next notices it."""
    clock = Clock()
    gate = Gate(clock)

    def long() -> None:
        clock.now += 0.9
        assert gate.call(lambda: 7) == 7
        clock.now += 0.2
        with pytest.raises(StuckDisk, match="does not answer"):
            gate.call(lambda: 7)
        assert gate.is_closed

    gate.call(long)
    assert not gate.is_closed
    assert gate.call(lambda: 7) == 7


@pytest.mark.warns("the folder /c does not answer; ", "the folder /c answers again")
def test_who_waits_is_told_and_the_log_once() -> None:
    """Those in the context are told after a second; the log, if it lasts."""
    clock, told = Clock(), list[str]()
    alarms, gate = Alarms(clock), Gate(clock)
    gate.start(alarms.after, "/c")

    def long() -> None:
        alarms.move(0.9)
        assert not told
        alarms.move(0.2)
        assert told
        assert gate.is_closed
        alarms.move(60)

    with gate.telling(lambda: told.append("stuck")):
        gate.call(long)
    assert not gate.is_closed
    told.clear()
    gate.call(lambda: alarms.move(0.1))
    assert not told
    alarms.move(3)
    assert not alarms.due


def test_slow_for_a_moment() -> None:
    """A disk that takes two seconds once is no news; a write may take as long as it likes."""
    clock = Clock()
    alarms, gate = Alarms(clock), Gate(clock)
    gate.start(alarms.after, "/c")
    gate.call(lambda: alarms.move(2))
    gate.call(lambda: alarms.move(100), float("inf"))
    assert not gate.is_closed


def test_a_call_that_fails() -> None:
    """Its error is passed on, and it counts as ended."""
    gate = Gate(Clock())

    def fail() -> None:
        raise FileNotFoundError(2, "no")

    with pytest.raises(FileNotFoundError):
        gate.call(fail)
    assert gate.call(threading.get_ident) == threading.get_ident()
