"""A shortage that lasts a moment leaves nothing behind: soon all is as before, without a remount."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from empirical_fs.cli.status_table import table
from empirical_fs.control import protocol
from empirical_fs.control.protocol import Command
from tests.support.cable import Cable
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    environment,
    mount_command,
    mounted,
    noise,
    run,
    unmount,
    wait_until,
)

SIZE = 2_000_000
PIDS, MEMORY = Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup/memory")
MIB = 2**20
ARENA = 64 * MIB
"""Bytes of addresses that malloc takes for one more thread."""
SHORT_SECONDS = 1.0
RLIMITS = {"descriptors": "nofile", "memory": "as"}

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may limit what runs already")


@contextmanager
def few_threads(mounted: Mounted) -> Iterator[None]:
    """The mount may begin no thread (a cgroup, as TasksMax of systemd makes it)."""
    group = PIDS / f"empirical-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(mounted.pid))
        (group / "pids.max").write_text("1")
        yield
    finally:
        (PIDS / "cgroup.procs").write_text(str(mounted.pid))
        group.rmdir()


def limited(what: str) -> Callable[[Mounted], AbstractContextManager[None]]:
    """The mount may have no more of it than it has; of memory, what malloc takes for one more thread."""

    @contextmanager
    def limit(mounted: Mounted) -> Iterator[None]:
        pid, name = str(mounted.pid), RLIMITS[what]
        if what == "memory":
            size = Path(f"/proc/{pid}/status").read_text().partition("VmSize:")[2].split()[0]
            most = str(int(size) * 1024 + ARENA)
        else:
            most = str(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))
        run("prlimit", "--pid", pid, f"--{name}={most}:")
        try:
            yield
        finally:
            run("prlimit", "--pid", pid, f"--{name}=unlimited:" if what == "memory" else f"--{name}=1024:")

    return limit


SHORTAGES: dict[str, Callable[[Mounted], AbstractContextManager[None]]] = {
    "threads": few_threads,
    "descriptors": limited("descriptors"),
    "memory": limited("memory"),
}


@pytest.fixture
def sandbox(cabled: Sandbox) -> Sandbox:
    """The project at the far end of the cable."""
    return cabled


def read(path: Path, seen: list[int | None]) -> None:
    """Read a file past the page cache, and note the error, or None."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            while os.read(file, 2**20):
                pass
        finally:
            os.close(file)
        seen.append(None)
    except OSError as error:
        seen.append(error.errno)


@only_root
@pytest.mark.parametrize("what", SHORTAGES)
@pytest.mark.parametrize("is_cut_off", [False, True], ids=["", "cut off"])
@pytest.mark.may_warn(
    r"(open|ioctl) /(file-\d+)?: (the system has no |it could not be had in time)",
    r"read /file-\d+: (the (system has no|file|object) |.* refused the connection|.*answer in time)",
    "127.0.0.1 (is out of reach; reads|answers again)",
    "the listing could not be refreshed, .*: (.* refused the connection|127.0.0.1 is out of reach)",
)
def test_a_shortage(what: str, is_cut_off: bool, sandbox: Sandbox, cable: Cable, tmp_path: Path) -> None:  # noqa: FBT001
    """Files are listed, replaced and read as before, and nothing is held that nobody reads."""
    if what == "threads" and not PIDS.is_dir():
        pytest.skip("this machine has no cgroup for the number of threads")
    names = [f"file-{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        sandbox.put(name, noise(SIZE, number))
    options = ("--refresh", "0", "--timeout", "4", "--memory", "16M")
    with mounted(tmp_path / "mnt", cable.url, *options) as mount:
        assert (mount / names[0]).read_bytes() == noise(SIZE, 0)
        seen: list[int | None] = []
        with SHORTAGES[what](mount):
            if is_cut_off:
                cable.refuse()
            sandbox.put("new", b"new")
            sandbox.put(names[0], noise(SIZE, 100))
            end = time.monotonic() + SHORT_SECONDS
            with ThreadPoolExecutor(len(names)) as pool:
                while time.monotonic() < end:
                    list(pool.map(lambda name: read(mount / name, seen), names))
        assert set(seen) <= {None, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.ENOENT}, set(seen)
        if is_cut_off:
            cable.plug()
        is_well(mount, names)


def is_well(mount: Mounted, names: list[str]) -> None:
    """Wait until all is as it is to be."""
    contents = {name: noise(SIZE, number or 100) for number, name in enumerate(names)} | {"new": b"new"}

    def is_right(name: str) -> bool:
        try:
            return (mount / name).read_bytes() == contents[name]
        except OSError:
            return False

    wait_until(lambda: all(map(is_right, contents)), "all files")
    with ThreadPoolExecutor(len(names)) as pool:
        assert all(pool.map(is_right, contents)), "at once, too"
    wait_until(lambda: protocol.ask(mount.path, Command.STATUS)["memory_held"] == 0, "the memory")
    report = protocol.ask(mount.path, Command.STATUS)
    assert (report["out_of_reach"], report["listing_failure"]) == ({}, None)
    assert [line for line in mount.log_lines() if " ERROR " in line or "Traceback" in line] == []


@only_root
@pytest.mark.skipif(not (MEMORY / "memory.limit_in_bytes").exists(), reason="no cgroup for the memory here")
def test_a_container_with_little_memory(sandbox: Sandbox, tmp_path: Path) -> None:
    """What is fetched ahead follows the container's limit: a large file is read, and nothing is killed."""
    content = noise(150 * MIB)
    sandbox.put("large", content)
    group, path = MEMORY / f"empirical-test-{os.getpid()}", tmp_path / "mnt"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(128 * MIB))
        inside = ("sh", "-c", 'echo $$ > "$0"; exec "$@"', group / "cgroup.procs")
        command = mount_command("--api-url", sandbox.url, path)
        run(*inside, *command, env=environment(EMPIRICALRUN_KEY=KEY))
        is_right = (path / "large").read_bytes() == content
        assert is_right, "pytest would show both"
        report = protocol.ask(path, Command.STATUS)
        assert report["memory_budget"] == 32 * MIB
        assert "by the container's limit of 128 MiB" in table([report])
    finally:
        unmount(path)
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the end of all processes")
        group.rmdir()
