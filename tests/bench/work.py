"""The pieces of work that rows are made of, each of which checks how much it did."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Self, TypeVar

from tests.bench.store import MIB, PER_PAGE, Project, Store
from tests.support.harness import environment

PATIENCE = 900.0
"""Seconds after which a program that reads has failed."""
PAGE = 4096

_Value = TypeVar("_Value")


class WorkFailed(Exception):
    """Work that was not done, or not all of it."""


def timed(work: Callable[[], _Value]) -> tuple[float, _Value]:
    """The seconds that `work` takes, and what it returns."""
    begin = time.monotonic()
    value = work()
    return time.monotonic() - begin, value


def finish(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; if that is not to be, end it with all that it started (rsync forks)."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(), process_group=0) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        said = errors.decode(errors="replace")
        raise WorkFailed(f"{command[0]} ended with {process.returncode}: {said}")
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def expect(wanted: int, got: int, what: str) -> None:
    if got != wanted:
        raise WorkFailed(f"{got} {what}, {wanted} wanted")


def read_with_dd(path: Path, size: int) -> None:
    done = finish("dd", f"if={path}", "of=/dev/null", "bs=1M")
    match = re.search(rb"^([0-9]+) bytes", done.stderr, re.MULTILINE)
    expect(size, int(match[1]) if match else 0, "bytes")


def download(store: Store, project: Project, target: Path, at_once: int) -> None:
    """Have curl write the files of `project` to the folder `target`, so many at once."""
    wanted = target / "wanted"
    url, names = store.url(project), [each.name for each in project.files]
    wanted.write_text("".join(f"url = {url}{name}\noutput = {target / name}\n" for name in names))
    finish("curl", "-sS", "-f", "-Z", "--parallel-max", str(at_once), "-K", wanted)
    wanted.unlink()
    got = sum(each.stat().st_size for each in target.iterdir())
    expect(sum(each.size for each in project.files), got, "bytes")


def read_at_once(paths: Sequence[Path]) -> int:
    """Read all of `paths` side by side; how many bytes that were."""

    def size(path: Path) -> int:
        piece, total = bytearray(MIB), 0
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(piece):
                total += count
        return total

    with ThreadPoolExecutor(len(paths)) as pool:
        return sum(pool.map(size, paths))


def read_pages(path: Path, offsets: Sequence[int]) -> list[float]:
    """The seconds that each read of a page of the file takes."""
    descriptor = os.open(path, os.O_RDONLY)

    def read(offset: int) -> float:
        seconds, content = timed(lambda: os.pread(descriptor, PAGE, offset))
        expect(PAGE, len(content), "bytes")
        return seconds

    try:
        return [read(offset) for offset in offsets]
    finally:
        os.close(descriptor)


def open_and_read(path: Path) -> float:
    """The seconds from opening a file to its first bytes."""
    begin = time.monotonic()
    with path.open("rb", buffering=0) as file:
        content = file.read(PAGE)
        seconds = time.monotonic() - begin
    expect(PAGE, len(content), "bytes")
    return seconds


def list_long(path: Path, count: int) -> None:
    lines = finish("ls", "-l", path).stdout.splitlines()
    expect(count, sum(line.startswith(b"-") for line in lines), "files listed")


def copy_tree(source: Path, target: Path, count: int) -> None:
    finish("rsync", "-a", f"{source}/", f"{target}/")
    expect(count, sum(1 for _ in target.iterdir()), "files copied")


class Bare:
    """A keep-alive connection to the store, for the requests without a mount."""

    def __init__(self, store: Store) -> None:
        self._connection = HTTPConnection("127.0.0.1", store.port, timeout=PATIENCE)
        self._connection.connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str, headers: Mapping[str, str], size: int) -> float:
        """The seconds until the whole body of `size` bytes is here."""
        seconds, body = timed(lambda: self._ask(path, headers).read())
        expect(size, len(body), "bytes")
        return seconds

    def get_first(self, path: str) -> float:
        """The seconds until the body begins."""
        begin = time.monotonic()
        response = self._ask(path, {})
        response.read(1)
        seconds = time.monotonic() - begin
        response.read()
        return seconds

    def list(self, project: Project, first: int, step: int) -> None:
        """Ask for every `step`th page of the listing."""
        for page in range(first, project.pages + 1, step):
            path = f"/{project.name}/api/resources?page={page}&per_page={PER_PAGE}"
            self._ask(path, {"Authorization": "Bearer bench"}).read()

    def _ask(self, path: str, headers: Mapping[str, str]) -> HTTPResponse:
        self._connection.request("GET", path, headers=dict(headers))
        response = self._connection.getresponse()
        if response.status not in (200, 206):
            raise WorkFailed(f"HTTP {response.status} for {path}")
        return response


def list_bare(store: Store, project: Project, connections: int) -> None:
    """Ask for the whole listing over so many connections at once."""

    def some(first: int) -> None:
        with Bare(store) as bare:
            bare.list(project, first, connections)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(some, range(1, connections + 1)))
