"""The process stays on one CPU only where that was measured to be faster."""

import subprocess
import sys
from collections.abc import Callable, Collection

from empirical_fs.mount.affinity import Affinity, is_gain
from tests.support.harness import wait_until

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


TRIAL, STAY, FREE, APART = 0.1, 1.0, 0.03, 5.0


class Watched:
    """An affinity whose time passes when the test says so, beside a transfer of some seconds.

    `rate` is how many bytes a second move on how many CPUs.
    """

    def __init__(self, rate: Callable[[int], float], seconds: float = 0) -> None:
        self.cpus = FakeCpus()
        self.seconds = 0.0
        self.waited: list[float] = []
        self.during_waits: Callable[[], None] = lambda: None
        self._rate = rate
        self._end = seconds
        self.affinity = Affinity(self.cpus, self._wait, lambda: self.seconds)

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        moving = min(max(self._end - self.seconds, 0), seconds)
        self.seconds += seconds
        self.affinity.moved(int(self._rate(len(self.cpus.now)) * moving))
        self.during_waits()

    def move(self, *counts: int) -> None:
        """Move data, and wait until nobody sees to it any more."""
        for count in counts:
            self.affinity.moved(count)
        self.end()

    def end(self) -> None:
        wait_until(lambda: not self.affinity._job.is_busy, "the thread's end")


def faster_alone(cpus: int) -> float:
    return 900 * MIB if cpus == 1 else 600 * MIB


def slower_alone(cpus: int) -> float:
    return 300 * MIB if cpus == 1 else 1200 * MIB


def test_a_gain_is_no_chance() -> None:
    """A few percent more, or nothing at all, are no reason to stay on one CPU."""
    assert is_gain(1.2, 1.0)
    assert not any(is_gain(*rates) for rates in [(1.04, 1.0), (0.5, 1.0), (0.0, 0.0)])


def test_bulk_stays_where_it_is() -> None:
    """Where one CPU is faster, as much as counts stays on the one that moved it, and goes free at its end."""
    watched = Watched(faster_alone, 1)
    watched.move(*[8 * MIB] * 8)
    assert watched.cpus.confined == [{2}, ALL] * 3
    assert watched.waited == [TRIAL, TRIAL, STAY, FREE, STAY, FREE]
    assert watched.cpus.now == ALL


def test_bulk_is_left_alone_where_one_cpu_is_no_gain() -> None:
    """Where all CPUs together are faster, one is tried for a moment every few seconds, and no more."""
    watched = Watched(slower_alone, 12)
    watched.move(BULK)
    assert watched.waited == [TRIAL, TRIAL, APART] * 4
    assert watched.cpus.confined == [{2}, ALL] * 4


def test_both_ways_are_tried_again() -> None:
    """What was faster may be so no more: after some seconds both are tried again."""
    watched = Watched(lambda cpus: faster_alone(cpus) if watched.seconds < 5 else slower_alone(cpus), 20)
    watched.move(BULK)
    stays = watched.waited.count(STAY)
    assert 5 <= stays <= 10
    assert watched.waited[-3:] == [TRIAL, TRIAL, APART]


def test_little_data_changes_nothing() -> None:
    """Less than counts, in one second or in many, starts no thread and confines nobody."""
    watched = Watched(faster_alone)
    watched.move(BULK - 1)
    for _ in range(100):
        watched.seconds += 2
        watched.move(BULK // 2)
    assert watched.cpus.confined == []
    assert watched.waited == []


def test_the_choice_is_made_anew_while_it_goes_on() -> None:
    """A long transfer is let go for a moment each second, and follows to where it then runs."""

    def elsewhere() -> None:
        if watched.seconds > 1:
            watched.cpus.here = 3

    watched = Watched(faster_alone, 3)
    watched.during_waits = elsewhere
    watched.move(BULK)
    assert watched.cpus.confined[:6] == [{2}, ALL, {2}, ALL, {3}, ALL]


def test_a_single_cpu_is_no_choice() -> None:
    """Where only one CPU is allowed, nothing is done."""
    watched = Watched(faster_alone)
    watched.cpus.now = {5}
    watched.move(BULK)
    assert watched.cpus.confined == []


def test_a_single_cpu_costs_no_more() -> None:
    """Where there is nothing to choose, that is found once for every 64 MiB, not with each transfer."""
    watched = Watched(faster_alone)
    watched.cpus.now = {5}
    watched.move(BULK)
    for _ in range(7):
        watched.move(8 * MIB)
    assert watched.cpus.looked == 1


def test_others_may_choose() -> None:
    """Whoever confines the process meanwhile (taskset) is not overruled."""

    def taskset() -> None:
        watched.cpus.now = {0, 1}

    watched = Watched(faster_alone)
    watched.during_waits = taskset
    watched.move(BULK)
    assert watched.cpus.confined == [{2}]
    assert watched.cpus.now == {0, 1}


def test_a_system_that_refuses_is_left_alone() -> None:
    """Where the call is forbidden, as in some containers, the transfer goes on as it is."""
    watched = Watched(faster_alone)
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
