"""Keeps the process on one CPU while it moves much data, if that is faster.

Python runs one of its threads at a time. If the scheduler spreads the threads that receive data and those
that answer the kernel over several CPUs, then each read that one thread passes to another wakes another CPU
and moves the bytes into its caches. That costs more than everything else: reading 1 GiB from loopback on two
CPUs took 1.5 s of CPU time per GB, at 640 MB/s; on one of the two, 1.0 s, at 930 MB/s. On a machine with more
CPUs, or if TLS must be decrypted, one CPU may be too little. So we try both ways for a moment, and stay on
one CPU only if that is faster. Other work than a bulk transfer gains nothing: any idle CPU answers an `ls`
faster than a certain one.
"""

import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from empirical_fs.work.jobs import Job

_BULK = 64 * 2**20
"""Bytes moved within a second that count as a bulk transfer."""

_TRIAL_SECONDS = 0.1
"""How long each way is tried; at 600 MB/s, that is 60 MB."""
_GAIN = 1.05
"""One CPU must be this many times as fast as all of them: a smaller difference may be chance."""
_ROUNDS = 10
"""How many times the process stays on one CPU before both ways are tried again."""
_APART_SECONDS = 5.0
"""How long the scheduler chooses the CPUs, if one CPU was not faster, before both ways are tried again."""
_STAY_SECONDS = 1.0
_FREE_SECONDS = 0.03
"""After each stay on one CPU, the scheduler may choose again for so long: our CPU may have become busy."""

_HANGS_SECONDS = 60.0

_TASKS = Path("/proc/self/task")

log = logging.getLogger(__name__)


class Cpus(Protocol):
    """The CPUs that the threads of a process may run on."""

    def allowed(self) -> Collection[int]:
        """The CPUs that the threads may run on now; a single one if there is no choice."""

    def current(self) -> int:
        """The CPU that the calling thread runs on."""

    def confine(self, cpus: Collection[int]) -> None:
        """Let every thread of the process run on `cpus` only.

        Raises:
            OSError: the system refuses that.
        """


class OwnCpus:
    """The CPUs of this process on Linux (sched_setaffinity(2)); on other systems there is no choice."""

    def __init__(self) -> None:
        """Look up sched_getcpu(3) in the C library."""
        # PyDLL keeps Python's lock during a call: releasing it would take longer than the call.
        self._sched_getcpu = getattr(ctypes.PyDLL(None), "sched_getcpu", None)

    def allowed(self) -> Collection[int]:
        """The CPUs of the main thread, which the other threads inherit."""
        if self._sched_getcpu is None:
            return (0,)
        return os.sched_getaffinity(os.getpid())

    def current(self) -> int:
        """The CPU that the calling thread runs on."""
        return int(self._sched_getcpu()) if self._sched_getcpu is not None else 0

    def confine(self, cpus: Collection[int]) -> None:
        """Let every thread of this process, and all threads that they start, run on `cpus` only.

        Raises:
            OSError: the system refuses that.
        """
        for task in os.listdir(_TASKS):  # noqa: PTH208 - names and not paths are wanted
            try:
                os.sched_setaffinity(int(task), cpus)
            except ProcessLookupError:
                continue  # the thread has ended meanwhile


def is_gain(alone: float, spread: float) -> bool:
    """Whether the rate on one CPU is better than that on all of them by more than chance (`_GAIN`)."""
    return alone > spread * _GAIN


class Affinity:
    """Keeps the process on one CPU during a bulk transfer, if data moves faster there.

    The lock guards the counts of bytes moved and the CPU that moved them last.
    """

    def __init__(
        self,
        cpus: Cpus,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with no bytes moved.

        Args:
            cpus: the CPUs of the process.
            wait: waits for the given seconds, or less if the mount is ending.
            clock: returns seconds.
        """
        self._cpus = cpus
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._since = float("-inf")
        self._moved = 0
        self._total = 0
        self._cpu = 0
        self._job = Job("affinity", self._see_to_it, _HANGS_SECONDS)

    def moved(self, count: int) -> None:
        """Count `count` bytes that the calling thread has just moved."""
        now = self._clock()
        is_seen_to = self._job.is_busy
        with self._lock:
            if not is_seen_to and now - self._since > _STAY_SECONDS:
                self._since, self._moved = now, 0
            self._moved += count
            self._total += count
            self._cpu = self._cpus.current()
            is_much = self._moved >= _BULK
        if is_much and not is_seen_to:
            self._job.ask()

    def _see_to_it(self) -> None:
        """While a bulk transfer lasts, try both ways, and stay on one CPU if that is faster."""
        allowed = self._cpus.allowed()
        rounds = 0
        try:
            while (cpu := self._cpu_if_busy()) is not None and len(allowed) > 1:
                self._job.moved()
                if not rounds:
                    spread = self._rate(_TRIAL_SECONDS)
                    if not is_gain(self._stay_on(cpu, allowed, _TRIAL_SECONDS), spread):
                        self._wait(_APART_SECONDS)
                        continue
                    rounds = _ROUNDS
                rounds -= 1
                self._stay_on(cpu, allowed, _STAY_SECONDS)
                self._wait(_FREE_SECONDS)
        except OSError as error:
            log.debug("the CPUs cannot be chosen: %s", error)

    def _stay_on(self, cpu: int, allowed: Collection[int], seconds: float) -> float:
        """Stay on `cpu` for so many seconds; returns the bytes per second that were moved meanwhile."""
        self._cpus.confine({cpu})
        try:
            return self._rate(seconds)
        finally:
            # If not, another program has changed our CPUs meanwhile (taskset(1)): leave them so.
            if set(self._cpus.allowed()) == {cpu}:
                self._cpus.confine(allowed)

    def _rate(self, seconds: float) -> float:
        """Wait for so many seconds; returns the bytes per second that were moved meanwhile."""
        begin, before = self._clock(), self._total
        self._wait(seconds)
        elapsed = self._clock() - begin
        return (self._total - before) / elapsed if elapsed > 0 else 0.0

    def _cpu_if_busy(self) -> int | None:
        """The CPU that moves the data; None if the bulk transfer is over. Resets the count of bytes."""
        with self._lock:
            moved, self._moved = self._moved, 0
            self._since = self._clock()
            return self._cpu if moved >= _BULK else None
