"""Rows on what a refresh of the listing costs, and those who read meanwhile."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from empirical_fs.control import protocol
from empirical_fs.control.protocol import Command
from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import Line, NoMoreThan, Who
from tests.bench.mounts import Mount
from tests.bench.store import File, Location, Project
from tests.bench.work import PAGE, timed
from tests.support.harness import mount_command, run, wait_until

_MS = 1000
_LINKS_MAX = 50_000
"""Names of one file that a common file system allows (ext4: 65,000)."""
_PAUSE_SECONDS = 0.005
_MAX_AGE = 60.0
"""The default of `--refresh`, in seconds."""
_REFRESH_SECONDS = 40.0


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    for resources in sizes.refreshed:
        yield Refresh(resources)


class Refresh(Row):
    """A program reads a file that is at hand beside `--reload`, and beside a refresh in the background."""

    who = (Who.OURS,)

    def __init__(self, resources: int) -> None:
        files = tuple(File(f"listed-{index:06}.bin", PAGE, index // _LINKS_MAX) for index in range(resources))
        goal = NoMoreThan(1.5) if resources <= _LINKS_MAX else NoMoreThan(9)
        self._mount = Line(f"mount {resources}, s")
        self._seconds = Line("refresh, s")
        self._computed = Line("refresh, CPU s", (goal,))
        self._wait = Line("a read meanwhile, median ms")
        self._late = Line("of 100 such reads the slowest, ms", (NoMoreThan(20),))
        self._worst = Line("the slowest of all, ms")
        self._late_beside = Line(
            "beside a refresh in the background: of 100 the slowest, ms", (NoMoreThan(20),)
        )
        self._worst_beside = Line("the slowest of all beside that, ms")
        self._memory = Line("peak MiB")
        lines = (
            self._mount,
            self._seconds,
            self._computed,
            self._wait,
            self._late,
            self._worst,
            self._late_beside,
            self._worst_beside,
            self._memory,
        )
        super().__init__(
            f"refresh {resources}", Project(f"refresh-{resources}", Location.FAST, files), *lines
        )

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        begin = time.monotonic()
        with bench.mounted(who, self.project) as mount:
            mounting = time.monotonic() - begin
            with _reading(mount.path / self.project.files[0].name) as waits:
                before = mount.cpu_seconds()
                seconds, _ = timed(lambda: run(*mount_command("--reload", mount.path)))
                computed = mount.cpu_seconds() - before - _reads_computed(mount, len(waits))
            waits.sort()
            beside = sorted(_beside_a_refresh(mount, mount.path / self.project.files[0].name))
            return {
                self._mount: mounting,
                self._seconds: seconds,
                self._computed: computed,
                self._wait: median(waits) * _MS,
                self._late: waits[len(waits) * 99 // 100] * _MS,
                self._worst: waits[-1] * _MS,
                self._late_beside: beside[len(beside) * 99 // 100] * _MS,
                self._worst_beside: beside[-1] * _MS,
                self._memory: mount.peak_mib(),
            }


def _beside_a_refresh(mount: Mount, path: Path) -> Sequence[float]:
    """The seconds of each read while the mount refreshes its old listing by itself."""
    time.sleep(max(_MAX_AGE - _age(mount), 0))
    with _reading(path) as waits:
        wait_until(lambda: _age(mount) < _MAX_AGE, "the refresh", _REFRESH_SECONDS)
    return waits


def _age(mount: Mount) -> float:
    return float(protocol.ask(mount.path, Command.STATUS)["listing_age"])


@contextmanager
def _reading(path: Path) -> Iterator[list[float]]:
    """Open and read a file again and again until the block ends; the seconds of each time."""
    path.read_bytes()
    waits: list[float] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.wait(_PAUSE_SECONDS):
            waits.append(timed(lambda: _read_page(path))[0])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield waits
    finally:
        is_over.set()
        reader.join()


def _read_page(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.pread(file, PAGE, 0)
    finally:
        os.close(file)


def _reads_computed(mount: Mount, count: int) -> float:
    """The CPU seconds of so many of these reads without a refresh."""
    before = mount.cpu_seconds()
    path = next(iter(mount.path.iterdir()))
    for _ in range(count):
        _read_page(path)
    return mount.cpu_seconds() - before
