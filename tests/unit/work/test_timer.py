"""Alarms ring once, in their order, unless they were cancelled."""

import threading
import time

import pytest

from empirical_fs.work.timer import Timer

PATIENCE = 10.0


def test_alarms_ring_in_their_order(timer: Timer) -> None:
    """Each at its time, whichever was set first."""
    rung: list[int] = []
    done = threading.Event()
    begun = time.monotonic()
    timer.after(0.06, lambda: rung.append(2))
    timer.after(0.06, done.set)
    timer.after(0.03, lambda: rung.append(1))
    timer.after(0, lambda: rung.append(0))
    assert done.wait(PATIENCE)
    assert rung == [0, 1, 2]
    assert time.monotonic() - begun >= 0.06


def test_a_cancelled_alarm_does_not_ring(timer: Timer) -> None:
    """Those behind it do."""
    rung: list[int] = []
    done = threading.Event()
    cancelled = timer.after(0.02, lambda: rung.append(1))
    timer.after(0.04, done.set)
    cancelled.cancel()
    assert done.wait(PATIENCE)
    assert rung == []


def test_an_alarm_rings_once(timer: Timer) -> None:
    """Whoever rings it first, the timer or somebody who knows before."""
    rung: list[int] = []
    done = threading.Event()
    alarm = timer.after(0.02, lambda: rung.append(1))
    alarm.ring()
    timer.after(0.04, done.set)
    assert done.wait(PATIENCE)
    assert rung == [1]


@pytest.mark.warns("ERROR .*: a deadline failed unexpectedly")
def test_an_alarm_that_fails(timer: Timer, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next ones ring."""
    done = threading.Event()
    timer.after(0, lambda: 1 / 0)
    timer.after(0.01, done.set)
    assert done.wait(PATIENCE)
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_closing() -> None:
    """Nothing rings afterwards, whether the timer was started or not."""
    Timer().close()
    timer, rung = Timer(), list[int]()
    timer.start()
    timer.after(0.05, lambda: rung.append(1))
    timer.close()
    timer.close()
    assert rung == []
