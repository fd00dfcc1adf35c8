"""The kernel reads files that are complete in the cache by itself; they are right whatever happens."""

import errno
import json
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.fuse.loader import load_library
from empirical_fs.mount import kernel_passthrough
from tests.conftest import Mount
from tests.support import racing_reader
from tests.support.cache_folder import data_files
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    noise,
    run,
    wait_until,
)

LONG_AGO = 1e9
# Only libfuse 3 has it.
pytestmark = pytest.mark.parametrize("libfuse", ["3"], indirect=True, ids=["libfuse3"])

SMALL, LARGE = noise(3_000_001, 1), noise(20_000_003, 2)
RACING, READERS, SECONDS = 4, 6, 4.0


def _why_not() -> str | None:
    try:
        here = kernel_passthrough.machine(load_library())
    except SetupError as error:
        return str(error)
    return kernel_passthrough.lacking(here, is_direct=False)


WHY_NOT = _why_not()
possible = pytest.mark.skipif(WHY_NOT is not None, reason=f"no passthrough here: {WHY_NOT}")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def passthrough(mount: Mounted) -> dict[str, Any]:
    """What `--status` says of it."""
    (report,) = json.loads(empirical_mount("--status", "--json", mount.path).stdout)
    found: dict[str, Any] = report["passthrough"]
    return found


def reads(mount: Mounted, name: str) -> int:
    """The reads of a file that have reached the process of a mount with `-vv`."""
    return sum(f"read '/{name}'" in line for line in mount.log_lines())


def close_all(mount: Mounted) -> None:
    wait_until(lambda: passthrough(mount)["open"] == 0, "the end of all handles")


def read_until_passed(mount: Mounted, name: str, content: bytes) -> None:
    """Read a file until an open of it is one by passthrough."""
    before = passthrough(mount)["opened"]

    def is_passed() -> bool:
        assert (mount / name).read_bytes() == content
        return bool(passthrough(mount)["opened"] > before)

    wait_until(is_passed, f"an open of {name} by passthrough")


@contextmanager
def held(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@possible
def test_no_read_reaches_us(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """After a remount: with read, mmap and sendfile; of a small file at once, of a larger one soon."""
    sandbox.put("small", SMALL, LONG_AGO)
    sandbox.put("large", LARGE, LONG_AGO)
    with mount("--cache-dir", cache) as mounted:
        assert (mounted / "small").read_bytes() == SMALL
        assert (mounted / "large").read_bytes() == LARGE
    with mount("--cache-dir", cache, "-vv") as mounted:
        assert (mounted / "small").read_bytes() == SMALL
        assert passthrough(mounted) == {"off_because": None, "open": 0, "opened": 1}
        assert reads(mounted, "small") == 0
        read_until_passed(mounted, "large", LARGE)
        before = reads(mounted, "large")
        with held(mounted / "large") as file:
            assert passthrough(mounted)["open"] == 1
            with mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
                assert mapped[:] == LARGE
            source, sink = os.pipe()
            assert os.sendfile(sink, file, 1001, 4096) == 4096
            assert os.read(source, 4096) == LARGE[1001 : 1001 + 4096]
            os.close(source)
            os.close(sink)
            assert os.pread(file, 100, len(LARGE) - 50) == LARGE[-50:]
            assert os.pread(file, 100, len(LARGE)) == b""
            assert os.fstat(file).st_size == len(LARGE)
            assert os.fstat(file).st_mtime == LONG_AGO
        assert reads(mounted, "large") == before
        close_all(mounted)
        assert "\n  passthrough  on, 0 open files; " in empirical_mount("--status", mounted.path).stdout


@possible
def test_other_ways_to_read(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """O_DIRECT, whose reads need not be aligned here, and asked-for read-ahead still reach us."""
    sandbox.put("small", SMALL, LONG_AGO)
    with mount("--cache-dir", cache, "-vv") as mounted:
        read_until_passed(mounted, "small", SMALL)
        with held(mounted / "small") as first, held(mounted / "small", os.O_RDONLY | os.O_DIRECT) as direct:
            assert passthrough(mounted)["open"] == 2
            assert os.pread(direct, 1000, 77) == SMALL[77:1077]
            os.posix_fadvise(first, 0, 0, os.POSIX_FADV_WILLNEED)
            assert os.pread(first, 1000, 77) == SMALL[77:1077]
        close_all(mounted)
        with held(mounted / "small", os.O_RDONLY | os.O_DIRECT) as direct, held(mounted / "small") as second:
            assert passthrough(mounted)["open"] == 0
            assert os.pread(direct, 1000, 77) == SMALL[77:1077]
            assert os.pread(second, 1000, 77) == SMALL[77:1077]


@possible
def test_a_file_that_is_replaced(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """Who has it open reads that version to its end, and ESTALE for attributes; others get the new one."""
    sandbox.put("f", SMALL, LONG_AGO)
    with mount("--cache-dir", cache, "--refresh", "0.2", "-o", "attr_timeout=0") as mounted:
        read_until_passed(mounted, "f", SMALL)
        with held(mounted / "f") as old:
            assert os.pread(old, 5, 0) == SMALL[:5]
            sandbox.put("f", LARGE)
            wait_until(lambda: (mounted / "f").stat().st_size == len(LARGE), "the new version")
            assert (mounted / "f").read_bytes() == LARGE
            assert os.pread(old, len(SMALL) + 1, 0) == SMALL
            with mmap.mmap(old, len(SMALL), mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
                assert mapped[:] == SMALL
            with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                os.fstat(old)
            read_until_passed(mounted, "f", LARGE)
            assert os.pread(old, len(SMALL) + 1, 0) == SMALL
        assert (mounted / "f").read_bytes() == LARGE


@possible
def test_a_file_that_is_evicted(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """Its open handles read on from a file that has no name any more, and a later open fetches it again."""
    sandbox.put("f", SMALL, LONG_AGO)
    with mount("--cache-dir", cache) as mounted:
        read_until_passed(mounted, "f", SMALL)
        with held(mounted / "f") as file:
            for each in (*cache.rglob("*.record"), *data_files(cache)):
                each.unlink()
            assert os.pread(file, len(SMALL), 0) == SMALL
            assert (mounted / "f").read_bytes() == SMALL
        close_all(mounted)
        sandbox.forget_requests()
        read_until_passed(mounted, "f", SMALL)
        assert data_files(cache)


@possible
@pytest.mark.warns("is damaged")
def test_a_file_that_is_damaged(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """A wrong byte on disk is found before the kernel reads it, also in a file that was verified before."""
    sandbox.put("f", SMALL, LONG_AGO)
    with mount("--cache-dir", cache) as mounted:
        read_until_passed(mounted, "f", SMALL)
        close_all(mounted)
        before = passthrough(mounted)["opened"]
        (data,) = data_files(cache)
        with data.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"?!")
        run("dd", f"if={mounted / 'f'}", "iflag=nocache", "count=0")
        with held(mounted / "f") as opened:
            assert passthrough(mounted)["opened"] == before
            assert b"".join(iter(lambda: os.read(opened, 1 << 20), b"")) == SMALL
        read_until_passed(mounted, "f", SMALL)


@possible
@pytest.mark.may_warn(r"answering: (read|open) /r\d: ")
def test_opens_that_race(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """Many processes, while files become complete, are replaced and evicted: right bytes, and no EIO."""
    versions = [0] * RACING
    for number in range(RACING):
        sandbox.put(f"r{number}", racing_reader.content_of(number, 0))
    with mount("--cache-dir", cache, "--refresh", "0.2", "--memory", "32M") as mounted:
        program = racing_reader.__file__
        readers = [
            subprocess.Popen(
                [sys.executable, program, mounted.path, str(SECONDS), str(seed)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for seed in range(READERS)
        ]
        turn = 0
        while any(each.poll() is None for each in readers):
            turn += 1
            number = turn % RACING
            if turn % 3 == 0:
                versions[number] += 1
                sandbox.put(f"r{number}", racing_reader.content_of(number, versions[number]))
            else:
                for each in data_files(cache)[turn % 2 :: 2]:
                    each.with_name(each.name.split(".")[0] + ".record").unlink(missing_ok=True)
                    each.unlink(missing_ok=True)
            time.sleep(0.1)
        said = [each.communicate()[0] for each in readers]
        assert [each.returncode for each in readers] == [0] * READERS, [
            each for each in said if each[0] == "r"
        ]
        totals = [sum(int(each.split()[part]) for each in said) for part in (0, 1)]
        assert totals[0] > 50 * READERS, said
        assert totals[0] > 10 * totals[1], said
        assert passthrough(mounted)["opened"] > READERS
        close_all(mounted)
        for number, last in enumerate(versions):
            wait_until(partial(is_last, mounted / f"r{number}", number, last), "the last version")


def is_last(path: Path, number: int, version: int) -> bool:
    return path.read_bytes() == racing_reader.content_of(number, version)


def test_what_is_said_without_a_cache(sandbox: Sandbox, mount: Mount) -> None:
    """Whether files are opened so, and why not, by the status and by the doctor."""
    sandbox.put("a", b"a")
    with mount() as mounted:
        assert passthrough(mounted) == {"off_because": "the cache on disk is off", "open": 0, "opened": 0}
        table = empirical_mount("--status", mounted.path).stdout
        assert "\n  passthrough  off: the cache on disk is off\n" in table
    wanted = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url)
    said = empirical_mount("--doctor", "--json", check=False, env=wanted)
    (finding,) = (each for each in json.loads(said.stdout) if each["name"] == "passthrough")
    assert (finding["verdict"], finding["seen"]) == ("ok", "off: the cache on disk is off")


def test_where_it_is_impossible(sandbox: Sandbox, mount: Mount, cache: Path) -> None:
    """Nothing else is different: the file is read through us, and the status says why."""
    sandbox.put("f", SMALL, LONG_AGO)
    with mount("--cache-dir", cache, "-o", "direct_io") as mounted:
        for _ in range(2):
            assert (mounted / "f").read_bytes() == SMALL
        assert passthrough(mounted) == {
            "off_because": _why_not() or "-o direct_io is given",
            "open": 0,
            "opened": 0,
        }
