"""A program that does one piece of work by a file system of fsspec, and prints what it took, as JSON.

Its only argument is a `Work`, as JSON.
"""

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import msgspec

from tests.bench.parquet import COLUMNS

RANGE = 4096


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    kind: str
    protocol: str
    options: dict[str, Any]
    prefix: str
    names: list[str]
    size: int
    """Bytes of each file."""
    ranges: int = 0
    target: str = ""


class Took(msgspec.Struct, frozen=True):
    """What it took, from a file system that knows nothing yet."""

    seconds: float
    cpu: float
    done: int
    """Bytes, or rows."""


def main() -> None:
    work = msgspec.json.decode(sys.argv[1], type=Work)
    os.environ["EMPIRICALRUN_KEY"] = "bench"
    fsspec.get_filesystem_class(work.protocol)
    do = {"cat_ranges": _cat_ranges, "get": _get, "parquet": _parquet}[work.kind]
    if work.kind == "parquet":
        import pyarrow.dataset  # noqa: F401, PLC0415 - is not timed
    wall, cpu = time.monotonic(), time.process_time()
    fs = fsspec.filesystem(work.protocol, **work.options)
    done = do(fs, work)
    took = Took(time.monotonic() - wall, time.process_time() - cpu, done)
    sys.stdout.write(msgspec.json.encode(took).decode())
    sys.stdout.flush()
    # At the end of Python, pyarrow's threads may still drop a file, of any file system, and then it aborts.
    os._exit(0)


def _cat_ranges(fs: Any, work: Work) -> int:
    generator = random.Random("ranges")
    paths = [work.prefix + work.names[each % len(work.names)] for each in range(work.ranges)]
    starts = [generator.randrange(work.size - RANGE) for _ in paths]
    found = fs.cat_ranges(paths, starts, [start + RANGE for start in starts], on_error="raise")
    return sum(map(len, found))


def _get(fs: Any, work: Work) -> int:
    target = Path(work.target)
    fs.get([work.prefix + name for name in work.names], [str(target / name) for name in work.names])
    return sum(each.stat().st_size for each in target.iterdir())


def _parquet(fs: Any, work: Work) -> int:
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    columns = [f"c{column}" for column in range(0, COLUMNS, COLUMNS // 2)]
    table = pq.read_table(work.prefix + work.names[0], filesystem=fs, columns=columns)
    return int(table.num_rows)


if __name__ == "__main__":
    main()
