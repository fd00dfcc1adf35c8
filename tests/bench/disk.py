"""The rows on the cache on disk: what it costs at first, and what it gives after a remount."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from statistics import median

from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import AtLeast, Line, NoMoreThan, Who
from tests.bench.latency import random_pages
from tests.bench.mounts import Caching, Mount
from tests.bench.store import MIB, File, Location, Project
from tests.bench.work import download, finish, read_pages, read_with_dd, timed
from tests.support.harness import mount_command, wait_until

_MB, _MS = 10**6, 1000
_WRITING, _IDLE_SECONDS = 120.0, 5.0
_CONNECTIONS = 64
"""How many requests curl may have at once: as many as we do."""
_LINK_MEGABITS = 1000
_AS_LOCAL = AtLeast(0.9, (Who.BARE,))


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    yield Disk(sizes)
    yield DiskOverWan(sizes)
    yield Prefetch(sizes)


class Prefetch(Row):
    """Many files fetched into the cache: over a link of 1 Gbit/s, and over one that carries all there is."""

    who = (Who.OURS, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        files = tuple(File(f"fetched-{number:04}.bin", MIB) for number in range(sizes.fetched))
        what = f"--prefetch of {sizes.fetched} files of 1 MiB (bare: curl)"
        self._of_link = Line(f"{what} over a link of {_LINK_MEGABITS} Mbit/s, MB/s", (_AS_LOCAL,))
        self._rate = Line(f"{what} over a link without a limit, MB/s", (_AS_LOCAL,))
        project = Project("prefetch", Location.DELAY, files)
        super().__init__("prefetch", project, self._of_link, self._rate)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        figures = {self._rate: self._fetched(bench, who)}
        if bench.link.is_own:
            with bench.link.carrying(_LINK_MEGABITS):
                figures[self._of_link] = self._fetched(bench, who)
        return figures

    def _fetched(self, bench: Bench, who: Who) -> float:
        """How many MB of the files come in a second."""
        size = len(self.project.files) * MIB
        if who is Who.BARE:
            with bench.empty_folder() as target:
                seconds, _ = timed(lambda: download(bench.store, self.project, target, _CONNECTIONS))
            return size / _MB / seconds
        folder = bench.folder / "kept"
        try:
            with bench.mounted(who, self.project, Caching(folder, size)) as mount:
                seconds, _ = timed(lambda: finish(*mount_command("--prefetch", mount.path)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return size / _MB / seconds


class DiskOverWan(Row):
    """A file read with and without the cache over a link that is slower than the disk."""

    who = (Who.OURS, Who.RCLONE)

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("long.bin", sizes.long)
        what = f"dd of {sizes.long // MIB} MiB"
        self._off = Line(f"{what} without the cache, MB/s")
        self._cold = Line(f"{what} with it, the first time, MB/s")
        self._cost = Line("of the speed without it, lost %", (NoMoreThan(5),))
        project = Project("wan", Location.WAN, (self._file,))
        super().__init__("disk wan", project, self._off, self._cold, self._cost)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        name, size = self._file.name, self._file.size
        with bench.mounted(who, self.project) as mount:
            off, _ = timed(lambda: read_with_dd(mount.path / name, size))
        folder = bench.folder / "kept"
        try:
            with bench.mounted(who, self.project, Caching(folder, size)) as mount:
                cold, _ = timed(lambda: read_with_dd(mount.path / name, size))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            self._off: size / _MB / off,
            self._cold: size / _MB / cold,
            self._cost: 100 * (1 - off / cold),
        }


class Disk(Row):
    """A file read with and without the cache, and read again by a new mount: from the disk, from memory."""

    who = (Who.OURS, Who.RCLONE, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("large.bin", sizes.large)
        self._offsets = random_pages(sizes.large, sizes.reads)
        what = f"dd of {sizes.large // MIB} MiB"
        self._off = Line(f"{what} without the cache, MB/s")
        self._cold = Line(f"{what} with it, the first time, MB/s")
        self._cost = Line("of the speed without it, lost %", (NoMoreThan(5),))
        self._warm = Line(
            f"{what} after a remount, from disk (bare: local), MB/s", (AtLeast(0.9, (Who.BARE,)),)
        )
        self._hot = Line(
            f"{what} after a remount, from memory (bare: local), MB/s", (AtLeast(1.5, (Who.RCLONE,)),)
        )
        self._wait = Line(f"{sizes.reads} random 4 KiB preads after a remount, median ms", (NoMoreThan(0.3),))
        lines = (self._off, self._cold, self._cost, self._warm, self._hot, self._wait)
        super().__init__("disk", Project("disk", Location.FAST, (self._file,)), *lines)

    def _is_kept(self, bench: Bench, mount: Mount, caching: Caching) -> bool:
        """Whether all of the file is on disk; what was read faster than the disk writes is read once more."""
        with suppress(AssertionError):
            wait_until(caching.is_full, "all that was read on disk", _IDLE_SECONDS)
            return True
        path = mount.path / self._file.name
        bench.forget(path)
        read_with_dd(path, self._file.size)
        return False

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        name, size = self._file.name, self._file.size
        if who is Who.BARE:
            path = bench.store.path(self.project, name)
            bench.forget(path)
            bench.own_memory()
            warm, _ = timed(lambda: read_with_dd(path, size))
            hot, _ = timed(lambda: read_with_dd(path, size))
            bench.forget(path)
            seconds = read_pages(path, self._offsets)
            return {
                self._warm: size / _MB / warm,
                self._hot: size / _MB / hot,
                self._wait: median(seconds) * _MS,
            }
        with bench.mounted(who, self.project) as mount:
            off, _ = timed(lambda: read_with_dd(mount.path / name, size))
        folder = bench.folder / "kept"
        caching = Caching(folder, size)
        try:
            with bench.mounted(who, self.project, caching) as mount:
                bench.own_memory()
                cold, _ = timed(lambda: read_with_dd(mount.path / name, size))
                wait_until(lambda: self._is_kept(bench, mount, caching), "the whole file on disk", _WRITING)
            with bench.mounted(who, self.project, caching) as mount:
                # The memory that this frees is taken by what is read next, and not given back to a host.
                for each in caching.files():
                    bench.forget(each)
                bench.own_memory()
                warm, _ = timed(lambda: read_with_dd(mount.path / name, size))
            with bench.mounted(who, self.project, caching) as mount:
                hot, _ = timed(lambda: read_with_dd(mount.path / name, size))
            with bench.mounted(who, self.project, caching) as mount:
                seconds = read_pages(mount.path / name, self._offsets)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            self._off: size / _MB / off,
            self._cold: size / _MB / cold,
            self._cost: 100 * (1 - off / cold),
            self._warm: size / _MB / warm,
            self._hot: size / _MB / hot,
            self._wait: median(seconds) * _MS,
        }
