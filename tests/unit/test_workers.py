"""Threads that answer the kernel."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from empirical_fs.workers import Workers
from tests.harness import PATIENCE, wait_until

SPARE = 4


class Loop:
    """Stands for libfuse's: each thread waits in it until the end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.failed = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()

    def __call__(self) -> bool:
        self.threads.add(threading.current_thread())
        while not self.ended.wait(0.01):
            if self.failed.acquire(blocking=False):
                return False
        return True

    def has(self, count: int) -> Callable[[], bool]:
        return lambda: len(self.threads) == count


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def loop(pool: ThreadPoolExecutor) -> Iterator[Loop]:
    """Ended before the pool waits for it."""
    loop = Loop()
    yield loop
    loop.ended.set()


def test_there_are_more_than_are_busy(loop: Loop, pool: ThreadPoolExecutor) -> None:
    """One begins; whoever is busy has others wait for what comes next."""
    workers = Workers()
    running = pool.submit(workers.run, loop)
    wait_until(loop.has(1), "the first thread")
    for _ in range(20):
        workers.begin()
    wait_until(loop.has(1 + 20), "threads")
    for _ in range(20):
        workers.end()
        workers.begin()
    wait_until(loop.has(20 + SPARE), "threads to spare")
    loop.ended.set()
    assert running.result(PATIENCE)


def test_they_stay(loop: Loop, pool: ThreadPoolExecutor) -> None:
    """Work that comes in bursts starts no thread once there were as many."""
    workers = Workers()
    running = pool.submit(workers.run, loop)
    for _ in range(50):
        for _ in range(10):
            workers.begin()
        for _ in range(10):
            workers.end()
    wait_until(loop.has(10 + SPARE), "threads")
    assert all(thread.is_alive() and thread.daemon for thread in loop.threads)
    loop.ended.set()
    assert running.result(PATIENCE)
    assert len(loop.threads) == 10 + SPARE


def test_the_end_waits_for_all(loop: Loop, pool: ThreadPoolExecutor) -> None:
    """What libfuse has is taken down when no thread uses it any more."""
    workers = Workers()
    left = threading.Event()

    def work() -> bool:
        is_first = not loop.threads
        went_well = loop()
        return went_well and (not is_first or left.wait(PATIENCE))

    running = pool.submit(workers.run, work)
    wait_until(loop.has(1), "the first thread")
    workers.begin()
    wait_until(loop.has(2), "the second thread")
    loop.ended.set()
    wait_until(lambda: sum(thread.is_alive() for thread in loop.threads) == 1, "the end of the second")
    assert not running.done()
    left.set()
    assert running.result(PATIENCE)
    workers.begin()
    assert len(loop.threads) == 2, "there is nothing left to work with"


def test_one_that_fails_ends_it(loop: Loop, pool: ThreadPoolExecutor) -> None:
    """The others may wait for ever then."""
    workers = Workers()
    running = pool.submit(workers.run, loop)
    wait_until(loop.has(1), "the first thread")
    workers.begin()
    loop.failed.release()
    assert running.result(PATIENCE) is False


def test_no_more_threads(loop: Loop, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has none left, those that are there go on, and it is tried again."""
    workers = Workers()
    running = pool.submit(workers.run, loop)
    wait_until(loop.has(1), "the first thread")

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        workers.begin()
        workers.end()
    assert len(loop.threads) == 1
    workers.begin()
    wait_until(loop.has(2), "the second thread")
    loop.ended.set()
    assert running.result(PATIENCE)
