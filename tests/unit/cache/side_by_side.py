"""Processes that use one cache at once: run by the tests, in a process without threads, which forks.

Each fills, reads and drops versions at random, checks every byte, and ends with status 1 for a wrong one.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store, System, in_a_thread
from empirical_fs.cache.writer import Runtime
from tests.unit.cache.disks import age, check, content, usage_of, version

SIZE = 7 * BLOCK + 5
LIMIT = 40 * BLOCK
KEYS = [ResourceKey("", "", number) for number in range(12)]
CONTENTS = [content(SIZE, number) for number in range(len(KEYS))]
COUNTERS = 2 * 4096


def work(folder: Path, seed: int, seconds: float) -> None:
    """Use the cache for that long, and report what was found."""
    chance = random.Random(seed)
    # On a fast clock, what was refused is tried again soon.
    store = Store(
        folder,
        Limits(LIMIT),
        system=System(runtime=Runtime(in_a_thread, lambda: time.monotonic() * 100, 0.1)),
    )
    store.start()
    end, hits, misses = time.monotonic() + seconds, 0, 0
    # On a busy machine that may not be enough for a single hit.
    while time.monotonic() < end or (
        not (hits and store.state.counts.blocks_kept) and time.monotonic() < end + 60
    ):
        number = chance.randrange(len(KEYS))
        data = CONTENTS[number]
        cached = version(store, data, key=KEYS[number])
        for block, is_there in enumerate(check(cached, data)):
            hits, misses = hits + is_there, misses + (not is_there)
            if not is_there:
                cached.keep(block, data[block * BLOCK : (block + 1) * BLOCK])
        cached.close()
        if chance.random() < 0.05:
            age(folder)
        if chance.random() < 0.02:
            for entry in store.entries():
                store.evict(entry)
                break
    counts = store.state.counts
    store.close()
    sys.stdout.write(f"{hits} {misses} {counts.blocks_kept} {counts.blocks_damaged}\n")
    sys.stdout.flush()


def forked(job: Callable[[], None]) -> int:
    """Do that in a child process; returns its id."""
    child = os.fork()
    if not child:
        status = 1
        try:
            job()
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    return child


def beside(folder: Path, seconds: float) -> None:
    """Run two processes, and watch that they keep to the limit together."""
    children = [forked(partial(work, folder, seed, seconds)) for seed in range(2)]
    most, left = 0, set(children)
    while left:
        # Nothing may move while the files are added up.
        for child in list(left):
            os.kill(child, signal.SIGSTOP)
            _, status = os.waitpid(child, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                left.discard(child)
                if status:
                    raise SystemExit(1)
        most = max(most, usage_of(folder))
        for child in left:
            os.kill(child, signal.SIGCONT)
        time.sleep(0.02)
    if most > LIMIT + COUNTERS:
        raise SystemExit(f"{most} bytes were on disk, and {LIMIT} is the limit")


def killed(folder: Path, times: int) -> None:
    """Kill a process again and again, and check what it leaves."""
    chance = random.Random(3)
    for seed in range(times):
        child = forked(partial(work, folder, seed, 60))
        time.sleep(0.01 + chance.random() * 0.15)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    # What they had reserved counts for a while, as nobody knows that they are dead.
    for counter in (folder / "v1" / "processes").iterdir():
        os.utime(counter, (time.time() - 1800, time.time() - 1800))
    last = forked(partial(work, folder, 99, 0.5))
    if os.waitpid(last, 0)[1]:
        raise SystemExit(1)


if __name__ == "__main__":
    name, place, number = sys.argv[1:]
    if name == "beside":
        beside(Path(place), float(number))
    else:
        killed(Path(place), int(number))
