"""Work for one key is done once for all who want it at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from empirical_fs.clock import Deadline
from empirical_fs.errors import DeadlinePassed, KeyRefused
from empirical_fs.single_flight import SingleFlight
from tests.unit.conftest import NotingDeadline

PATIENCE = 10.0


class Flight:
    """Work that shows when it begins and ends when it is told to."""

    def __init__(self) -> None:
        self.flights = SingleFlight[str, int]()
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.waiting = threading.Semaphore(0)
        self.count = 0
        self.failure: Exception | None = None

    def work(self) -> int:
        self.count += 1
        self.begun.release()
        assert self.go.wait(PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self.count

    def do(self, key: str = "a") -> int:
        deadline = NotingDeadline(Deadline.after(PATIENCE).at, noted=self.waiting)
        return self.flights.do(key, self.work, deadline)


def joined(flight: Flight, pool: ThreadPoolExecutor, others: int) -> list[int | BaseException]:
    """What the first and `others` who came while it worked got."""
    first = pool.submit(flight.do)
    assert flight.begun.acquire(timeout=PATIENCE)
    rest = [pool.submit(flight.do) for _ in range(others)]
    for _ in rest:
        assert flight.waiting.acquire(timeout=PATIENCE)
    flight.go.set()
    futures = [first, *rest]
    return [future.exception(PATIENCE) or future.result() for future in futures]


def test_work_is_done_once(pool: ThreadPoolExecutor) -> None:
    """All who come while work is under way get its result."""
    flight = Flight()
    assert joined(flight, pool, 7) == [1] * 8


def test_failure_is_shared(pool: ThreadPoolExecutor) -> None:
    """All who wait for work that fails get its exception."""
    flight = Flight()
    flight.failure = KeyRefused(401)
    assert joined(flight, pool, 3) == [flight.failure] * 4


def test_done_again_after_the_end() -> None:
    """Who comes after the end has the work done anew, whether it failed or not."""
    flight = Flight()
    flight.go.set()
    assert [flight.do(), flight.do()] == [1, 2]
    flight.failure = KeyRefused(401)
    with pytest.raises(KeyRefused):
        flight.do()
    flight.failure = None
    assert flight.do() == 4


def test_keys_do_not_wait_for_each_other(pool: ThreadPoolExecutor) -> None:
    """Work for one key goes on beside that for another."""
    flight = Flight()
    futures = [pool.submit(flight.do, key) for key in "ab"]
    for _ in futures:
        assert flight.begun.acquire(timeout=PATIENCE)
    flight.go.set()
    assert len([future.result(PATIENCE) for future in futures]) == 2


def test_waiting_ends_at_the_deadline(pool: ThreadPoolExecutor) -> None:
    """Who waits for another's work gives up at the deadline, and the work goes on."""
    flight = Flight()
    first = pool.submit(flight.do)
    assert flight.begun.acquire(timeout=PATIENCE)
    with pytest.raises(DeadlinePassed):
        flight.flights.do("a", flight.work, Deadline.after(0.01))
    flight.go.set()
    assert first.result(PATIENCE) == 1
