"""Rows in which bytes per second count: seq, wan, warm, many."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import MOUNTS, RCLONES, AtLeast, AtMost, Better, Caption, Goal, Line, NoMoreThan, Who
from tests.bench.store import MIB, File, Location, Project, described_size
from tests.bench.work import expect, finish, read_at_once, read_with_dd, timed

_MB, _GB = 10**6, 10**9
_MEMORY_MIB = 356


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    for name, scheme in _SCHEMES.items():
        yield Sequential(
            name,
            Project(name.replace(" ", "-"), Location.FAST, (File("large.bin", sizes.large),), scheme),
            f"Read a file of {described_size(sizes.large)} over {scheme.upper()}",
            speed=(AtLeast(1.2, RCLONES),),
            cpu=(AtMost(1.3, RCLONES),),
        )
    yield SlowSequential(
        "wan",
        Project("wan", Location.WAN, (File("long.bin", sizes.long),)),
        f"Read a file of {described_size(sizes.long)}",
        speed=(AtLeast(1.1, (Who.STREAMS,)), AtLeast(6, (Who.RCLONE,))),
    )
    yield Warm(sizes)
    yield Many(sizes)


_SCHEMES: dict[str, Literal["http", "https"]] = {"seq http": "http", "seq tls": "https"}


class Sequential(Row):
    """A file read from its beginning to its end, by a fresh mount."""

    def __init__(
        self, name: str, project: Project, title: str, *, speed: tuple[Goal, ...], cpu: tuple[Goal, ...] = ()
    ) -> None:
        (self._file,) = project.files
        caption = Caption(title, "MB/s", Better.MORE)
        self._speed = Line(f"dd of {self._file.size // MIB} MiB, MB/s", speed, caption)
        self._cpu = Line("CPU s/GB", cpu)
        self._memory = Line("peak RSS, MiB")
        super().__init__(name, project, self._speed, self._cpu, self._memory)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        size = self._file.size
        with bench.mounted(who, self.project) as mount:
            path = mount.path / self._file.name
            before = mount.cpu_seconds()
            seconds, _ = timed(lambda: read_with_dd(path, size))
            cpu = mount.cpu_seconds() - before
            memory = mount.peak_mib()
            if number == 1:
                finish("cmp", path, bench.store.path(self.project, self._file.name))
        return {self._speed: size / _MB / seconds, self._cpu: cpu / (size / _GB), self._memory: memory}


class SlowSequential(Sequential):
    """The same from a store that lets no connection be fast."""

    slow = (Who.RCLONE,)


class Warm(Row):
    """A file that has not changed, read again on the same mount."""

    who = (*MOUNTS, Who.BARE)

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("large.bin", sizes.large)
        self._speed = Line(
            f"dd of {sizes.large // MIB} MiB again (bare: local), MB/s", (AtLeast(0.9, (Who.BARE,)),)
        )
        super().__init__("warm", Project("warm", Location.FAST, (self._file,)), self._speed)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        if who is Who.BARE:
            # The store has read it once already.
            return self._read_again(bench.store.path(self.project, self._file.name), 1)
        with bench.mounted(who, self.project) as mount:
            return self._read_again(mount.path / self._file.name, 2)

    def _read_again(self, path: Path, before: int) -> Mapping[Line, float]:
        """The speed once the file was read `before` times; the second time, the kernel moves its pages."""
        for _ in range(before):
            read_with_dd(path, self._file.size)
        seconds, _ = timed(lambda: read_with_dd(path, self._file.size))
        return {self._speed: self._file.size / _MB / seconds}


class Many(Row):
    """Many files read at once."""

    def __init__(self, sizes: Sizes) -> None:
        files = tuple(File(f"part-{index:02}.bin", sizes.many_size, index) for index in range(sizes.many))
        what = f"{sizes.many} x {sizes.many_size // MIB} MiB at once, MB/s"
        title = f"Read {sizes.many} files of {described_size(sizes.many_size)} at once"
        self._speed = Line(what, (AtLeast(1, RCLONES),), Caption(title, "MB/s", Better.MORE))
        self._memory = Line("peak RSS, MiB", (NoMoreThan(_MEMORY_MIB),))
        project = Project("many", Location.WAN, files)
        super().__init__("many", project, self._speed, self._memory)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        size = sum(file.size for file in self.project.files)
        with bench.mounted(who, self.project) as mount:
            paths = [mount.path / file.name for file in self.project.files]
            seconds, got = timed(lambda: read_at_once(paths))
            expect(size, got, "bytes")
            return {self._speed: size / _MB / seconds, self._memory: mount.peak_mib()}
