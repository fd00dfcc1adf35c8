"""Keeps the process on one CPU while it moves much data.

Python runs one of its threads at a time. Where the scheduler spreads those that receive and those that
answer the kernel over the CPUs, each hand-over of a read has to wake another CPU and moves the bytes into
its caches, which costs more than everything else: of 1 GiB from loopback on two CPUs, a GB took 1.5 s of
CPU that way and came at 640 MB/s; on one of the two, 1.0 s at 930 MB/s. On a machine with more CPUs, or
where TLS has to be decrypted, one CPU may well be too little. So both ways are tried for a moment, and the
process stays on one CPU only where that is faster. What is no bulk transfer gains nothing by it: `ls` is
answered faster by whichever CPU is idle.
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
"""Bytes within a second from which that matters."""

_TRIAL_SECONDS = 0.1
"""How long each way is tried; at 600 MB/s, that is 60 MB."""
_GAIN = 1.05
"""So many times as fast it has to be on one CPU: less is chance."""
_ROUNDS = 10
"""How many times the process stays on one CPU before both ways are tried again."""
_APART_SECONDS = 5.0
"""How long the scheduler is left alone where one CPU is no gain."""
_STAY_SECONDS = 1.0
_FREE_SECONDS = 0.03
"""Now and then the scheduler chooses again: another process may have come to our CPU."""

_HANGS_SECONDS = 60.0

_TASKS = Path("/proc/self/task")

log = logging.getLogger(__name__)


class Cpus(Protocol):
    """The CPUs that the threads of a process may run on."""

    def allowed(self) -> Collection[int]:
        """Those that they may run on now; a single one, where there is nothing to choose."""

    def current(self) -> int:
        """The one that the caller runs on."""

    def confine(self, cpus: Collection[int]) -> None:
        """Have every thread run on `cpus` alone.

        Raises:
            OSError: the system does not want that.
        """


class OwnCpus:
    """The CPUs of this process, as Linux has it (sched_setaffinity(2)); elsewhere there is no choice."""

    def __init__(self) -> None:
        """Find what the C library offers."""
        # PyDLL keeps Python's lock: giving it away would take longer than the call.
        self._sched_getcpu = getattr(ctypes.PyDLL(None), "sched_getcpu", None)

    def allowed(self) -> Collection[int]:
        """Those of the first thread, from which the others have theirs."""
        if self._sched_getcpu is None:
            return (0,)
        return os.sched_getaffinity(os.getpid())

    def current(self) -> int:
        """The one that the caller runs on."""
        return int(self._sched_getcpu()) if self._sched_getcpu is not None else 0

    def confine(self, cpus: Collection[int]) -> None:
        """Have every thread run on `cpus` alone, and with them all that they start.

        Raises:
            OSError: the system does not want that.
        """
        for task in os.listdir(_TASKS):  # noqa: PTH208 - names and not paths are wanted
            try:
                os.sched_setaffinity(int(task), cpus)
            except ProcessLookupError:
                continue  # it ended meanwhile


def is_gain(alone: float, spread: float) -> bool:
    """Whether a rate on one CPU is so much better than the rate on all of them that it is no chance."""
    return alone > spread * _GAIN


class Affinity:
    """Has the process stay on one CPU as long as much data moves, where it moves faster there.

    The lock guards what was moved lately, and where.
    """

    def __init__(
        self,
        cpus: Cpus,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing was moved yet.

        Args:
            cpus: what is chosen from.
            wait: waits for so many seconds, or less when all is over.
            clock: tells seconds.
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
        """Take note that the calling thread has just moved `count` bytes."""
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
        """Stay on `cpu` for a while; the bytes a second that were moved there."""
        self._cpus.confine({cpu})
        try:
            return self._rate(seconds)
        finally:
            # Else somebody has confined us meanwhile, and knows better.
            if set(self._cpus.allowed()) == {cpu}:
                self._cpus.confine(allowed)

    def _rate(self, seconds: float) -> float:
        """The bytes a second that are moved in the next seconds."""
        begin, before = self._clock(), self._total
        self._wait(seconds)
        elapsed = self._clock() - begin
        return (self._total - before) / elapsed if elapsed > 0 else 0.0

    def _cpu_if_busy(self) -> int | None:
        """Where the data moves, if it is still as much."""
        with self._lock:
            moved, self._moved = self._moved, 0
            self._since = self._clock()
            return self._cpu if moved >= _BULK else None
