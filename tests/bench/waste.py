"""Rows in which the bytes count that the store sends, beside those that were read."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import Better, Caption, Line, NoMoreThan, Who
from tests.bench.latency import random_pages
from tests.bench.store import MIB, File, Location, Project
from tests.bench.work import PAGE, expect, finish, read_pages, read_with_dd

_SEQUENTIAL = 1.005
"""1.00, as it is printed."""
_RANDOM = 1.1
_HEAD = 100


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    yield WasteSequential(sizes)
    yield WasteRandom(sizes)
    yield WasteFile(sizes)
    yield WasteHead(sizes)


class Waste(Row):
    """Some work, and what the store was asked for it until the mount was gone."""

    def __init__(self, name: str, files: tuple[File, ...], sent: Line, requests: Line) -> None:
        self._sent = sent
        self._requests = requests
        super().__init__(name, Project(name.replace(" ", "-"), Location.DELAY, files), sent, requests)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        begin = bench.store.mark()
        with bench.mounted(who, self.project) as mount:
            self.work(mount.path)
        requests = bench.store.requests(self.project, begin, bench.store.mark())
        sent = sum(request.sent for request in requests)
        per_sent, per_request = self.units()
        return {self._sent: sent / per_sent, self._requests: len(requests) / per_request}

    @abstractmethod
    def work(self, path: Path) -> None:
        """Read what is mounted at `path`."""

    @abstractmethod
    def units(self) -> tuple[int, int]:
        """By what the bytes sent and the requests are divided."""


class WasteSequential(Waste):
    """A whole file."""

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("long.bin", sizes.long)
        sent = Line(f"dd of {sizes.long // MIB} MiB, sent/read", (NoMoreThan(_SEQUENTIAL),))
        super().__init__("waste dd", (self._file,), sent, Line("requests"))

    def work(self, path: Path) -> None:
        read_with_dd(path / self._file.name, self._file.size)

    def units(self) -> tuple[int, int]:
        return self._file.size, 1


class WasteRandom(Waste):
    """Single pages here and there; of a far page the kernel reads nothing ahead, so 1 is possible."""

    def __init__(self, sizes: Sizes) -> None:
        self._file = File("large.bin", sizes.large)
        self._offsets = random_pages(sizes.large, sizes.scattered)
        sent = Line(f"{sizes.scattered} random 4 KiB preads, sent/read", (NoMoreThan(_RANDOM),))
        super().__init__("waste rand", (self._file,), sent, Line("requests per read"))

    def work(self, path: Path) -> None:
        read_pages(path / self._file.name, self._offsets)

    def units(self) -> tuple[int, int]:
        return PAGE * len(self._offsets), len(self._offsets)


class WasteOfEach(Waste):
    """A look into each file of a directory, one after the other."""

    def __init__(self, name: str, what: str, sizes: Sizes, caption: Caption | None = None) -> None:
        files = tuple(File(f"file-{index:02}.bin", MIB, index) for index in range(sizes.peeked))
        sent = Line(f"{what} of {sizes.peeked} files of 1 MiB, KiB sent per file", caption=caption)
        super().__init__(name, files, sent, Line("requests per file"))

    def units(self) -> tuple[int, int]:
        return 2**10 * len(self.project.files), len(self.project.files)

    def paths(self, path: Path) -> list[Path]:
        return [path / file.name for file in self.project.files]


class WasteFile(WasteOfEach):
    """What a file manager does."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__("waste file", "file", sizes)

    def work(self, path: Path) -> None:
        done = finish("file", "-b", *self.paths(path))
        expect(len(self.project.files), len(done.stdout.splitlines()), "files recognised")


class WasteHead(WasteOfEach):
    """The first bytes alone."""

    def __init__(self, sizes: Sizes) -> None:
        caption = Caption(f"Data sent for the first {_HEAD} bytes of a file", "KiB", Better.LESS)
        super().__init__("waste head", f"head -c {_HEAD}", sizes, caption)

    def work(self, path: Path) -> None:
        done = finish("head", "-q", "-c", str(_HEAD), *self.paths(path))
        expect(_HEAD * len(self.project.files), len(done.stdout), "bytes")
