"""Rows in which file systems of fsspec are compared: cat_ranges, get, parquet."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import msgspec

from tests.bench import s3
from tests.bench.bench import Bench, Row, Sizes
from tests.bench.door_work import RANGE, Took, Work
from tests.bench.figures import DOORS, AtMost, Line, Who
from tests.bench.latency import small_files
from tests.bench.store import MIB, File, Location, Project, described_size
from tests.bench.work import expect, finish

_RANGED_SIZE = 16 * MIB


def rows(sizes: Sizes) -> Iterator[Row]:
    """The rows of this module."""
    ranged = tuple(File(f"ranged-{index:03}.bin", _RANGED_SIZE) for index in range(sizes.ranged))
    yield Door(
        "cat_ranges",
        Project("ranged", Location.DELAY, ranged),
        f"{sizes.ranges} ranges of 4 KiB of {sizes.ranged} files",
        done=sizes.ranges * RANGE,
        ranges=sizes.ranges,
    )
    small = small_files(sizes.got)
    yield Door(
        "get",
        Project("got", Location.DELAY, small),
        f"{sizes.got} files of 4 KiB",
        done=sum(each.size for each in small),
    )
    yield Door(
        "parquet",
        Project("tables", Location.DELAY, (File("table.parquet", sizes.parquet),)),
        f"2 of 16 columns of {described_size(sizes.parquet)}",
        done=sizes.parquet // 128,
    )


class Door(Row):
    """One call of a fresh file system, in a process of its own."""

    who = (Who.OURS, *DOORS)

    def __init__(self, name: str, project: Project, what: str, *, done: int, ranges: int = 0) -> None:
        self._done, self._ranges = done, ranges
        self._seconds = Line(f"{what}, s", (AtMost(1, DOORS),))
        self._cpu = Line("CPU s")
        super().__init__(name, project, self._seconds, self._cpu)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        serving = s3.serving(bench.store.buckets, bench.store.s3_behind) if who is Who.S3FS else nullcontext()
        with serving, bench.empty_folder() as target:
            work = self._work(bench, who, str(target))
            argument = msgspec.json.encode(work).decode()
            done = finish(sys.executable, "-m", "tests.bench.door_work", argument)
        took = msgspec.json.decode(done.stdout, type=Took)
        expect(self._done, took.done, "bytes or rows")
        return {self._seconds: took.seconds, self._cpu: took.cpu}

    def _work(self, bench: Bench, who: Who, target: str) -> Work:
        store, project = bench.store, self.project
        doors: dict[Who, tuple[str, str, dict[str, Any]]] = {
            Who.OURS: ("empirical", "", {"api_url": store.api_url(project)}),
            Who.HTTP: ("http", store.url(project), {}),
            Who.S3FS: ("s3", f"{project.name}/", {"endpoint_url": store.s3_url, "anon": True}),
        }
        protocol, prefix, options = doors[who]
        return Work(
            kind=self.name,
            protocol=protocol,
            options=options,
            prefix=prefix,
            names=[each.name for each in project.files],
            size=project.files[0].size,
            ranges=self._ranges,
            target=target,
        )
