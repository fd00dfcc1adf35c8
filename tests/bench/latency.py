"""Rows in which waiting counts: rand, open, walk, ls."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import MOUNTS, RCLONES, AtMost, Better, Caption, Line, NoMoreThan, Who
from tests.bench.mounts import Mount
from tests.bench.store import File, Location, Project, described_size
from tests.bench.work import (
    PAGE,
    Bare,
    copy_tree,
    finish,
    list_bare,
    list_long,
    open_and_read,
    read_pages,
    timed,
)

_MS = 1000
_SMALL = 4096
_OPENED_SIZE = 128 * 2**10
_CONNECTIONS = 8
"""Bare listing requests side by side, as many as our client's."""


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    yield Rand(sizes)
    yield Open(sizes)
    yield Walk(sizes)
    yield Ls(sizes)
    yield LsSmall(sizes)


def random_pages(size: int, count: int) -> list[int]:
    """The offsets of `count` different pages of a file, the same ones every time."""
    return [page * PAGE for page in random.Random("pages").sample(range(size // PAGE), count)]


def small_files(count: int) -> tuple[File, ...]:
    return tuple(File(f"small-{index:05}.bin", _SMALL, index) for index in range(count))


class Rand(Row):
    """Single pages read here and there."""

    who = (*MOUNTS, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("large.bin", sizes.large)
        self._offsets = random_pages(sizes.large, sizes.reads)
        goal = AtMost(1.15, (Who.BARE,))
        title = f"Read {described_size(PAGE)} somewhere in a file of {described_size(sizes.large)}"
        caption = Caption(title, "ms", Better.LESS)
        self._wait = Line(f"{sizes.reads} random 4 KiB preads, median ms", (goal,), caption)
        self._worst = Line("the slowest, ms")
        super().__init__("rand", Project("rand", Location.DELAY, (self._file,)), self._wait, self._worst)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        if who is Who.BARE:
            seconds = self._bare(bench)
        else:
            with bench.mounted(who, self.project) as mount:
                seconds = read_pages(mount.path / self._file.name, self._offsets)
        return {self._wait: median(seconds) * _MS, self._worst: max(seconds) * _MS}

    def _bare(self, bench: Bench) -> list[float]:
        path = bench.store.url_path(self.project, self._file.name)
        ranges = [f"bytes={offset}-{offset + PAGE - 1}" for offset in self._offsets]
        with Bare(bench.store) as bare:
            return [bare.get(path, {"Range": each}, PAGE) for each in ranges]


class Open(Row):
    """Files opened in no order, each until its first bytes are there."""

    who = (*MOUNTS, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        files = tuple(File(f"file-{index:02}.bin", _OPENED_SIZE, index) for index in range(sizes.opened))
        self._wait = Line(f"open to first byte, {sizes.opened} files, median ms", (AtMost(1.5, (Who.BARE,)),))
        self._worst = Line("the slowest, ms")
        self._requests = Line("store requests per open", (NoMoreThan(1),))
        project = Project("open", Location.DELAY, files)
        super().__init__("open", project, self._wait, self._worst, self._requests)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        names = [file.name for file in _no_walk(self.project.files)]
        begin = bench.store.mark()
        if who is Who.BARE:
            with Bare(bench.store) as bare:
                seconds = [bare.get_first(bench.store.url_path(self.project, name)) for name in names]
        else:
            with bench.mounted(who, self.project) as mount:
                seconds = [open_and_read(mount.path / name) for name in names]
        requests = bench.store.requests(self.project, begin, bench.store.mark())
        return {
            self._wait: median(seconds) * _MS,
            self._worst: max(seconds) * _MS,
            self._requests: len(requests) / len(names),
        }


class Walk(Row):
    """A directory of small files, copied."""

    slow = RCLONES

    def __init__(self, sizes: Sizes) -> None:
        what = f"rsync -a of {sizes.walked} files of 4 KiB, s"
        title = f"Copy {sizes.walked} files of {described_size(_SMALL)} with rsync"
        self._seconds = Line(what, (AtMost(0.1, (Who.RCLONE,)),), Caption(title, "s", Better.LESS))
        super().__init__("walk", Project("walk", Location.DELAY, small_files(sizes.walked)), self._seconds)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        with bench.mounted(who, self.project) as mount, bench.empty_folder() as target:
            seconds, _ = timed(lambda: copy_tree(mount.path, target, len(self.project.files)))
            finish("diff", "-r", bench.store.path(self.project), target)
        return {self._seconds: seconds}


class Ls(Row):
    """A long listing of a large project, from the start of the mount; not for rclone, see LsSmall."""

    who = (Who.OURS, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        # Nobody reads them, so all are one file.
        files = tuple(File(f"listed-{index:05}.bin", _SMALL) for index in range(sizes.listed))
        goal = AtMost(1.2, (Who.BARE,))
        self._mount = Line("mount, s")
        self._ls = Line(f"ls -l of {sizes.listed} right after, s")
        self._sum = Line("both (bare: pages one by one), s", (goal,))
        self._at_once = Line(f"pages {_CONNECTIONS} at once, s")
        self._again = Line("ls -l again (bare: of local files), s", (NoMoreThan(0.1),))
        project = Project("ls", Location.DELAY, files)
        lines = (self._mount, self._ls, self._sum, self._at_once, self._again)
        super().__init__(f"ls {sizes.listed}", project, *lines)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        if who is Who.BARE:
            one_by_one, _ = timed(lambda: list_bare(bench.store, self.project, 1))
            at_once, _ = timed(lambda: list_bare(bench.store, self.project, _CONNECTIONS))
            return {self._sum: one_by_one, self._at_once: at_once, self._again: self._listed_locally()}
        return self._listed(bench, who)

    def _listed_locally(self) -> float:
        """What `ls -l` takes by itself: of as many empty files with these names."""
        with TemporaryDirectory() as folder:
            path = Path(folder)
            for file in self.project.files:
                (path / file.name).touch()
            seconds, _ = timed(lambda: list_long(path, len(self.project.files)))
        return seconds

    def _listed(self, bench: Bench, who: Who) -> Mapping[Line, float]:
        count = len(self.project.files)
        with ExitStack() as stack:
            mounting, mount = timed(lambda: stack.enter_context(bench.mounted(who, self.project)))
            first, _ = timed(lambda: list_long(mount.path, count))
            again, _ = timed(lambda: list_long(mount.path, count))
        return {
            self._mount: mounting,
            self._ls: first,
            self._sum: mounting + first,
            self._again: again,
        }


class LsSmall(Row):
    """The same of fewer files for all, since rclone's listing asks the store about each of them."""

    slow = RCLONES

    def __init__(self, sizes: Sizes) -> None:
        caption = Caption(f"Mount, and ls -l of {sizes.listed_by_rclone} files", "s", Better.LESS)
        self._sum = Line(f"mount and ls -l of {sizes.listed_by_rclone}, s", caption=caption)
        self._again = Line("ls -l again, s")
        project = Project("ls-small", Location.DELAY, small_files(sizes.listed_by_rclone))
        super().__init__(f"ls {sizes.listed_by_rclone}", project, self._sum, self._again)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        count = len(self.project.files)

        def mount_and_list() -> Mount:
            mount = stack.enter_context(bench.mounted(who, self.project))
            list_long(mount.path, count)
            return mount

        with ExitStack() as stack:
            total, mount = timed(mount_and_list)
            again, _ = timed(lambda: list_long(mount.path, count))
        return {self._sum: total, self._again: again}


def _no_walk(files: Sequence[File]) -> list[File]:
    """The files in an order in which none follows a neighbour of the directory, the same every time."""
    generator = random.Random("order")
    order = list(range(len(files)))
    while any(abs(one - other) == 1 for one, other in pairwise(order)):
        generator.shuffle(order)
    return [files[index] for index in order]
