"""Threads, pools and jobs go on though the system has no thread to give or a job fails."""

import _thread
import threading

import pytest

from empirical_fs.errors import NoThread
from empirical_fs.work.jobs import Job
from empirical_fs.work.parallel import in_parallel
from empirical_fs.work.threads import Bell, Pool, Worker
from tests.support.harness import wait_until

PATIENCE = 10.0


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The system has none until this is undone."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    return monkeypatch


@pytest.mark.warns("ERROR .*: a thread failed unexpectedly")
def test_a_worker_is_alive_while_it_works() -> None:
    """Also where the work fails, the end of the thread is seen."""
    go = threading.Event()

    def work() -> None:
        assert go.wait(PATIENCE)
        raise ValueError("a bug")

    worker = Worker(work)
    assert worker.is_alive
    go.set()
    wait_until(lambda: not worker.is_alive, "the thread's end")


def test_a_worker_without_a_thread(no_threads: pytest.MonkeyPatch) -> None:
    """It is refused."""
    with pytest.raises(NoThread):
        Worker(lambda: None)


@pytest.mark.warns("ERROR .*: work failed unexpectedly")
def test_a_pool_does_all_with_a_few_threads() -> None:
    """What is submitted is done, whatever went wrong before, by as many threads as it has."""
    pool, done, threads = Pool(2), threading.Semaphore(0), set[int]()

    def work(number: int) -> None:
        threads.add(threading.get_ident())
        done.release()
        if number % 3 == 0:
            raise ValueError("a bug")

    for number in range(30):
        pool.submit(lambda number=number: work(number))  # type: ignore[misc]
    for _ in range(30):
        assert done.acquire(timeout=PATIENCE)
    assert len(threads) <= 2
    pool.close()


def test_a_pool_without_threads(no_threads: pytest.MonkeyPatch) -> None:
    """What nobody can do is refused, and not done later; then all is as before."""
    pool, done = Pool(1), threading.Event()
    refused = list[int]()
    for _ in range(3):
        with pytest.raises(NoThread):
            pool.submit(lambda: refused.append(1))
    no_threads.undo()
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    assert refused == []
    pool.close()


def test_a_job_is_begun_by_whoever_asks_next(no_threads: pytest.MonkeyPatch) -> None:
    """Without a thread nothing begins, and nothing says that it has; the next who asks begins it."""
    done = threading.Event()
    job = Job("job", done.set, 60)
    assert not job.ask()
    assert not job.is_busy
    no_threads.undo()
    assert job.ask()
    assert done.wait(PATIENCE)
    wait_until(lambda: not job.is_busy, "the end")


@pytest.mark.warns("ERROR .*: job failed unexpectedly")
def test_a_job_goes_on_after_a_failure() -> None:
    """Work that raises is done again when somebody asks."""
    runs = threading.Semaphore(0)

    def work() -> None:
        runs.release()
        raise ValueError("a bug")

    job = Job("job", work, 60)
    for _ in range(3):
        assert job.ask()
        assert runs.acquire(timeout=PATIENCE)
        wait_until(lambda: not job.is_busy, "the end")


@pytest.mark.warns("job makes no progress, and is restarted")
def test_a_job_that_hangs_is_left_behind() -> None:
    """Without progress for too long it is begun anew by whoever asks; what hangs ends as it comes back."""
    runs, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        runs.release()
        go.wait(PATIENCE)

    job = Job("job", work, 0.05)
    assert job.ask()
    assert runs.acquire(timeout=PATIENCE)
    wait_until(lambda: not job.is_busy, "its patience")
    assert job.ask()
    assert runs.acquire(timeout=PATIENCE)
    go.set()
    wait_until(lambda: not job.is_busy, "the end")
    assert not runs.acquire(blocking=False)


def test_who_asks_meanwhile_has_it_done_once_more() -> None:
    """What was asked for while the work was under way is not forgotten, and not done twice."""
    runs, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        runs.release()
        assert go.wait(PATIENCE)

    job = Job("job", work, 60)
    for _ in range(5):
        assert job.ask()
    assert runs.acquire(timeout=PATIENCE)
    for _ in range(5):
        assert job.ask()
    go.set()
    assert runs.acquire(timeout=PATIENCE)
    wait_until(lambda: not job.is_busy, "the end")
    assert not runs.acquire(blocking=False)


@pytest.mark.parametrize("at_once", [1, 4])
def test_side_by_side(at_once: int) -> None:
    """The results come in order, of no more at once than was said."""
    here, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        with lock:
            here -= 1
        return number * 2

    assert list(in_parallel(work, range(50), at_once)) == [number * 2 for number in range(50)]
    assert most <= at_once


def test_side_by_side_without_threads(no_threads: pytest.MonkeyPatch) -> None:
    """Where there is no thread, the caller does all of it."""
    mine = threading.get_ident()
    assert set(in_parallel(lambda _: threading.get_ident(), range(20), 8)) == {mine}


def test_side_by_side_raises() -> None:
    """What the work raises comes at its place."""
    found = in_parallel(lambda number: 1 // (3 - number), range(9), 4)
    assert [next(found) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_a_bell_wakes_those_who_wait_in_their_order() -> None:
    """Each ring wakes one, the last ring all; who has waited long enough wakes by itself."""
    lock = threading.Lock()
    bell, woken = Bell(lock), list[int]()

    def sleep(number: int) -> None:
        with lock:
            bell.wait()
            woken.append(number)

    for number in range(4):
        Worker(lambda number=number: sleep(number))  # type: ignore[misc]
        wait_until(lambda number=number: len(bell._sleepers) == number + 1, "the sleeper")  # type: ignore[misc]
    for number in range(2):
        with lock:
            bell.ring()
        wait_until(lambda number=number: woken == list(range(number + 1)), "the next")  # type: ignore[misc]
    with lock:
        bell.wait(0.01)
        bell.ring_for_all()
        bell.ring()
    wait_until(lambda: sorted(woken) == [0, 1, 2, 3], "the rest")
    assert not bell._sleepers
