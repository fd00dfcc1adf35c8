"""What Dask workers ask of the API and of the store: `python -m tests.bench.dask_workers [--mib N]`.

For 1, 2, 4 and 8 workers, each in a process of its own: every file of 1,000, a task for each; then blocks of
a large CSV file, counted by lines. The requests are counted by the sandbox server.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
from dask import bag
from distributed import Client, LocalCluster

from tests.support.harness import KEY, Sandbox, environment, serving

_FILES, _SMALL, _BLOCK = 1000, 4096, 2**20
_LINE = b"%015d\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=300, help="size of the CSV file")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8])
    given = parser.parse_args()
    os.environ.update(environment(EMPIRICALRUN_KEY=KEY))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with serving(folder / "project", folder / "url") as sandbox:
            _fill(sandbox.folder, given.mib)
            print("workers job          pages by id  store MiB read seconds", flush=True)  # noqa: T201
            for workers in given.workers:
                _measure(sandbox, workers, given.mib)


def _fill(folder: Path, mib: int) -> None:
    for number in range(_FILES):
        (folder / f"part-{number:04}.bin").write_bytes(bytes([number % 256]) * _SMALL)
    lines = _BLOCK // len(_LINE % 0)
    with (folder / "rows.csv").open("wb") as file:
        for each in range(mib):
            file.write(b"".join(_LINE % number for number in range(each * lines, (each + 1) * lines)))


def _measure(sandbox: Sandbox, workers: int, mib: int) -> None:
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=None
    )
    with cluster, Client(cluster) as client:
        sandbox.forget_requests()
        files = fsspec.open_files("empirical://part-*.bin", "rb", api_url=sandbox.url)
        small = bag.from_sequence(files, npartitions=_FILES).map(length_of).sum()
        _report(sandbox, workers, "1,000 files", lambda: client.compute(small).result(), _FILES * _SMALL)
        sandbox.forget_requests()
        fs = fsspec.filesystem("empirical", api_url=sandbox.url)
        size = mib * _BLOCK
        lines = client.map(lines_in, [(fs, at) for at in range(0, size, 8 * _BLOCK)], pure=False)
        _report(sandbox, workers, f"{mib} MiB CSV", lambda: sum(client.gather(lines)), size // len(_LINE % 0))
        fsspec.get_filesystem_class("empirical").clear_instance_cache()


def length_of(file: Any) -> int:
    """Read a whole file."""
    with file as opened:
        return len(opened.read())


def lines_in(block: tuple[Any, int]) -> int:
    """Count the lines of a block."""
    fs, at = block
    with fs.open("rows.csv") as file:
        file.seek(at)
        return int(file.read(8 * _BLOCK).count(b"\n"))


def _report(sandbox: Sandbox, workers: int, job: str, work: Callable[[], int], wanted: int) -> None:
    begin = time.monotonic()
    got = work()
    seconds = time.monotonic() - begin
    assert got == wanted, f"{got} in place of {wanted}"
    counts = sandbox.requests()
    figures: Sequence[Any] = (counts["list"], counts["get"], counts["object"], counts["object_bytes"] >> 20)
    print(f"{workers:7} {job:12} {'{:5} {:5} {:6} {:8}'.format(*figures)} {seconds:7.1f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
