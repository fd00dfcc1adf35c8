import subprocess
import sys
from collections.abc import Callable, Collection

import pytest

from empirical_fs.mount.affinity import Affinity
from tests.harness import wait_until

MIB = 2**20
BULK = 64 * MIB
ALL = frozenset({0, 1, 2, 3})


class FakeCpus:
    """Four CPUs, and what was made of them."""

    def __init__(self) -> None:
        self.now: Collection[int] = ALL
        self.here = 2
        self.confined: list[Collection[int]] = []
        self.looked = 0
        self.failure: OSError | None = None

    def allowed(self) -> Collection[int]:
        self.looked += 1
        return self.now

    def current(self) -> int:
        return self.here

    def confine(self, cpus: Collection[int]) -> None:
        if self.failure is not None:
            raise self.failure
        self.confined.append(cpus)
        self.now = cpus


class Watched:
    """An affinity whose time passes when the test says so: `meanwhile` are what happens in its waits."""

    def __init__(self, *meanwhile: Callable[[], None]) -> None:
        self.cpus = FakeCpus()
        self.seconds = 0.0
        self.waited: list[float] = []
        self._meanwhile = list(meanwhile)
        self.affinity = Affinity(self.cpus, self._wait, lambda: self.seconds)

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.seconds += seconds
        if self._meanwhile:
            self._meanwhile.pop(0)()

    def move(self, *counts: int) -> None:
        """Move data, and wait until nobody sees to it any more."""
        for count in counts:
            self.affinity.moved(count)
        self.end()

    def end(self) -> None:
        wait_until(lambda: not self.affinity._job.is_busy, "the thread's end")


def test_bulk_stays_where_it_is() -> None:
    """As much as counts within a second confines all to the CPU that moved it, for a second, then no more."""
    watched = Watched()
    watched.move(*[8 * MIB] * 8)
    assert watched.cpus.confined == [{2}, ALL]
    assert watched.waited[0] == pytest.approx(1)
    assert watched.cpus.now == ALL


def test_little_data_changes_nothing() -> None:
    """Less than counts, in one second or in many, starts no thread and confines nobody."""
    watched = Watched()
    watched.move(BULK - 1)
    for _ in range(100):
        watched.seconds += 2
        watched.move(BULK // 2)
    assert watched.cpus.confined == []
    assert watched.waited == []


def test_the_choice_is_made_anew_while_it_goes_on() -> None:
    """A long transfer is let go for a moment each second, and follows to where it then runs."""

    def go_on() -> None:
        watched.affinity.moved(BULK)

    def elsewhere() -> None:
        watched.cpus.here = 3
        watched.affinity.moved(BULK)

    watched = Watched(go_on, elsewhere, go_on)
    watched.move(BULK)
    assert watched.cpus.confined == [{2}, ALL, {3}, ALL, {3}, ALL]
    assert watched.waited[1] < watched.waited[0] / 10


def test_a_single_cpu_is_no_choice() -> None:
    """Where only one CPU is allowed, nothing is done."""
    watched = Watched()
    watched.cpus.now = {5}
    watched.move(BULK)
    assert watched.cpus.confined == []


def test_a_single_cpu_costs_no_more() -> None:
    """Where there is nothing to choose, that is found once for every 64 MiB, not with each transfer."""
    watched = Watched()
    watched.cpus.now = {5}
    watched.move(BULK)
    for _ in range(7):
        watched.move(8 * MIB)
    assert watched.cpus.looked == 1


def test_others_may_choose() -> None:
    """Whoever confines the process meanwhile (taskset) is not overruled."""

    def taskset() -> None:
        watched.cpus.now = {0, 1}

    watched = Watched(taskset)
    watched.move(BULK)
    assert watched.cpus.confined == [{2}]
    assert watched.cpus.now == {0, 1}


def test_a_system_that_refuses_is_left_alone() -> None:
    """Where the call is forbidden, as in some containers, the transfer goes on as it is."""
    watched = Watched()
    watched.cpus.failure = PermissionError(1, "Operation not permitted")
    watched.move(BULK)
    watched.move(BULK)
    assert watched.cpus.confined == []


def test_threads_of_a_real_process() -> None:
    """Every thread, and every one that is started then, runs on what was chosen; afterwards on all."""
    script = """if True:
        import os, threading
        from empirical_fs.mount.affinity import OwnCpus
        cpus, done, masks = OwnCpus(), threading.Event(), []

        def start_another():
            started.wait()
            other = threading.Thread(target=lambda: masks.append(os.sched_getaffinity(0)))
            other.start()
            other.join()
            done.wait()

        started = threading.Event()
        thread = threading.Thread(target=start_another)
        thread.start()
        before = cpus.allowed()
        here = cpus.current()
        assert here in before
        cpus.confine({here})
        tasks = [int(task) for task in os.listdir("/proc/self/task")]
        assert [os.sched_getaffinity(task) for task in tasks] == [{here}] * len(tasks) and len(tasks) > 1
        assert cpus.allowed() == {here} and cpus.current() == here
        started.set()
        while not masks: pass
        assert masks == [{here}]
        cpus.confine(before)
        assert {frozenset(os.sched_getaffinity(task)) for task in tasks} == {frozenset(before)}
        done.set()
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
