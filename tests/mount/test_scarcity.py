"""A mount short of descriptors, memory or room for its log, and what ten thousand opens leave behind."""

import errno
import hashlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    PATIENCE,
    Mounted,
    Sandbox,
    environment,
    mount_command,
    mounted,
    mounts,
    noise,
    run,
    unmount,
    wait_until,
)
from tests.support.lives import SOON, hashing, is_gone

SIZE = 400_000
STALL = {"type": "stall", "after": 1000, "seconds": 600}
SMALL = {f"small-{number:03}": noise(5000 + number, number) for number in range(300)}

THREADS_MAX = 128 + 32 + 10 + 10
"""The most that fetch for readers and ahead (`Fetcher`), those that libfuse keeps, and a few."""
DESCRIPTORS_MORE = 4
MEMORY_MORE = 12.0
"""MiB; six KiB for each of the two thousand opens between would be as much; it is half a MiB."""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """Forty files of which no two share a byte."""
    for number in range(40):
        sandbox.put(f"file-{number}", noise(SIZE, number))
    return sandbox


def read_at_once(mounted: Mounted, count: int) -> Counter[str]:
    """How many of so many readers at once had their bytes right, and what the others heard."""
    with ExitStack() as stack:
        readers = [stack.enter_context(hashing(mounted / f"file-{number}")) for number in range(count)]
        heard = Counter[str]()
        for number, reader in enumerate(readers):
            output, message = reader.communicate(timeout=60)
            if reader.returncode == 0:
                assert output.split()[0] == hashlib.sha256(noise(SIZE, number)).hexdigest()
            heard["right" if reader.returncode == 0 else message.rpartition(": ")[2].strip()] += 1
    return heard


@contextmanager
def limited(path: Path, url: str, descriptors: str) -> Iterator[Mounted]:
    """A mount that may have so many descriptors ("soft:hard")."""
    log = path.with_name("log")
    command = mount_command("--api-url", url, "--log-file", log, "--timeout", "10", path)
    run("prlimit", f"--nofile={descriptors}", *command, env=environment(EMPIRICALRUN_KEY=KEY))
    try:
        yield Mounted(path, log)
    finally:
        unmount(path)


def entries(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def descriptors(mounted: Mounted) -> int:
    return entries(Path(f"/proc/{mounted.pid}/fd"))


@pytest.mark.parametrize("limit", ["64:64", "28:28"])
def test_out_of_descriptors(project: Sandbox, tmp_path: Path, limit: str) -> None:
    """Forty readers at once get right bytes or EIO, and once they are gone every read works."""
    project.plan(store_latency_s=0.2)
    with limited(tmp_path / "mnt", project.url, limit) as mounted:
        heard = read_at_once(mounted, 40)
        assert set(heard) <= {"right", os.strerror(errno.EIO)}, heard
        wait_until(lambda: set(read_at_once(mounted, 40)) == {"right"}, "reads that all work")
        assert not any("Traceback" in line for line in mounted.log_lines())


@pytest.mark.may_warn("mnt is in use; unmounted under its users")
def test_a_signal_when_out_of_descriptors(project: Sandbox, tmp_path: Path) -> None:
    """A mount that has no descriptor left, and stalled readers, still unmounts on SIGTERM."""
    project.plan(faults=[{"on": "object", "action": STALL}])
    with limited(tmp_path / "mnt", project.url, "28:28") as mounted, ExitStack() as stack:
        for number in range(40):
            reader = stack.enter_context(hashing(mounted / f"file-{number}"))
            stack.callback(reader.kill)
        wait_until(lambda: descriptors(mounted) == 28, "the last descriptor")
        os.kill(mounted.pid, signal.SIGTERM)
        wait_until(lambda: is_gone(mounted.path), "the end of the mount", SOON)


def test_little_memory(project: Sandbox, mount: Mount) -> None:
    """With the smallest budget, 24 readers at once all have their bytes right."""
    with mount("--memory", "1M") as mounted:
        assert read_at_once(mounted, 24) == {"right": 24}
        assert mounted.log_lines() == []


@pytest.fixture
def failing(sandbox: Sandbox) -> Sandbox:
    """A file that cannot be read, which the log would tell, and one that can."""
    sandbox.put("bad", noise(SIZE))
    sandbox.put("good", noise(SIZE))
    missing = {"type": "status", "status": 404}
    sandbox.plan(faults=[{"on": "object", "ids": [sandbox.id_of("bad")], "action": missing}])
    return sandbox


def check_failing(path: Path) -> None:
    """Have something written to the log, a few times over, and read between."""
    for _ in range(3):
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            (path / "bad").read_bytes()
        assert (path / "good").read_bytes() == noise(SIZE)


def test_a_full_disk_for_the_log(failing: Sandbox, mount: Mount) -> None:
    """A mount whose log cannot be written serves on, and ends on a signal as ever."""
    with mount("-vv", "--log-file", "/dev/full") as mounted:
        check_failing(mounted.path)
        mounted.kill(signal.SIGTERM)
        assert str(mounted.path) not in mounts()


def test_a_full_disk_for_the_log_of_a_foreground_mount(failing: Sandbox, tmp_path: Path) -> None:
    """Nothing of the log that cannot be written comes to stderr, no traceback either."""
    path = tmp_path / "mnt"
    command = mount_command("--foreground", "-vv", "--log-file", "/dev/full", "--api-url", failing.url, path)
    variables = environment(EMPIRICALRUN_KEY=KEY)
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=variables) as process:
        try:
            wait_until(lambda: str(path) in mounts(), "the mount")
            check_failing(path)
            process.terminate()
            _, said = process.communicate(timeout=PATIENCE)
            assert (process.returncode, said) == (0, b"")
        finally:
            unmount(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a tmpfs")
@pytest.mark.warns("read /bad: the (file changed since|object was deleted)")
def test_a_disk_that_fills_and_one_that_is_taken_away(failing: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A log on a disk that is full after the start, then read-only, then gone, holds up nothing."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=64k", "none", disk)
    try:
        with mount("--log-file", disk / "log") as mounted:
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                (disk / "filler").write_bytes(bytes(2**20))
            check_failing(mounted.path)
            (disk / "filler").unlink()
            check_failing(mounted.path)
            assert "bad" in (disk / "log").read_text()
            # No more than a directory of somebody else's, for who is not root: the open file is written on.
            disk.chmod(0o555)
            check_failing(mounted.path)
            run("umount", "-l", disk)
            check_failing(mounted.path)
    finally:
        run("umount", "-l", disk, check=False)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a tmpfs")
@pytest.mark.warns(r"read /a.bin: no room for \d+ bytes in TMPDIR, or /var/tmp")
def test_no_room_for_a_file_from_a_server_without_ranges(sandbox: Sandbox, tmp_path: Path) -> None:
    """Reads of it are EIO, and the file is not fetched for each of them; with room, it is there."""
    content = noise(3_000_000)
    sandbox.put("a.bin", content)
    sandbox.plan(ranges="ignored")
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", disk)
    try:
        with mounted(tmp_path / "mnt", sandbox.url, variables={"TMPDIR": str(disk)}) as mounted_:
            for _ in range(10):
                with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                    (mounted_ / "a.bin").read_bytes()
            assert sandbox.requests()["object"] <= 4
            assert sum("no room for 3000000 bytes" in line for line in mounted_.log_lines()) > 0
            run("mount", "-o", "remount,size=16m", disk)
            assert (mounted_ / "a.bin").read_bytes() == content
    finally:
        run("umount", "-l", disk)


class Held(NamedTuple):
    """What a process has."""

    threads: int
    descriptors: int
    memory: float
    """MiB."""


def held_by(mounted: Mounted, sandbox: Sandbox) -> Held:
    """What the file system has when nobody reads and it has no reason to keep connections."""
    # A connection that breaks takes along those that were kept idle.
    sandbox.plan(faults=[{"on": "object", "action": {"type": "reset"}, "times": 1}])
    read_directly(mounted / "small-000")
    sandbox.plan()
    process = Path("/proc") / str(mounted.pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    memory = int(status["VmRSS"].split()[0]) / 2**10
    return Held(entries(process / "task"), descriptors(mounted), memory)


def read_directly(path: Path) -> bytes:
    """The first bytes of a file, past the page cache."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(file, 4096, 0)
    finally:
        os.close(file)


def wear(mounted: Mounted, sandbox: Sandbox, share: float) -> None:
    """10,000 opens and reads, 200 readers that are killed and 200 that fail, or a share of them."""

    def read(number: int) -> None:
        name = f"small-{number % len(SMALL):03}"
        if number % 10:
            assert (mounted / name).read_bytes() == SMALL[name]
        else:
            assert read_directly(mounted / name) == SMALL[name][:4096]

    def fail(_: int) -> None:
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            (mounted / "bad").read_bytes()

    missing = {"type": "status", "status": 404}
    sandbox.plan(
        faults=[
            {"on": "object", "ids": [sandbox.id_of("bad")], "action": missing},
            {"on": "object", "ids": [sandbox.id_of(f"stalling-{n}") for n in range(8)], "action": STALL},
        ]
    )
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        reads = [pool.submit(read, number) for number in range(int(10_000 * share))]
        for _ in range(int(200 * share) // 20):
            sandbox.forget_requests()
            readers = [stack.enter_context(hashing(mounted / f"stalling-{n % 8}")) for n in range(20)]
            wait_until(
                lambda: sandbox.requests()["faults_by_action"].get("stall", 0) >= 8, "what they ask for"
            )
            for reader in readers:
                reader.kill()
        failures = [pool.submit(fail, number) for number in range(int(200 * share))]
        for future in [*reads, *failures]:
            future.result(60)


@pytest.mark.warns("read /bad: the (file changed since|object was deleted)")
def test_thousands_of_opens_leave_nothing(sandbox: Sandbox, mount: Mount) -> None:
    """Threads, descriptors and memory are afterwards what they were when everything had happened once."""
    for name, content in SMALL.items():
        sandbox.put(name, content)
    for name in ["bad", *(f"stalling-{number}" for number in range(8))]:
        sandbox.put(name, noise(SIZE))
    with mount() as mounted:
        wear(mounted, sandbox, 0.1)
        start = held_by(mounted, sandbox)
        wear(mounted, sandbox, 0.2)
        wait_until(lambda: held_by(mounted, sandbox).threads <= THREADS_MAX, "the end of the threads")
        end = held_by(mounted, sandbox)
        assert end.descriptors <= start.descriptors + DESCRIPTORS_MORE, (start, end)
        assert end.memory <= start.memory + MEMORY_MORE, (start, end)
        assert not any("Traceback" in line for line in mounted.log_lines())
