"""How a mount begins: alone on its directory, with descriptors enough, and again if the kernel ends it."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    PATIENCE,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounts,
    processes,
    run,
    said,
    unmount,
    wait_until,
)
from tests.support.started import started

ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can see to the kernel's connections")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "parent" / "mnt"
    yield path
    while str(path) in mounts():
        run("fusermount", "-u", "-z", path)
    unmount(path)


def mount_at_once(sandbox: Sandbox, path: Path, count: int = 3) -> list[tuple[int, str]]:
    """What so many come to that mount at one moment: their status, and what they say."""
    sandbox.plan(api_latency_s=1.0)
    variables = environment(EMPIRICALRUN_KEY=KEY)
    with ExitStack() as stack:
        commands = [
            stack.enter_context(started("--api-url", sandbox.url, path, env=variables)) for _ in range(count)
        ]
        return sorted((each.wait(60), each.said()[1]) for each in commands)


def check_one_has_won(path: Path, results: list[tuple[int, str]]) -> None:
    assert [status for status, _ in results] == [0] + [1] * (len(results) - 1), results
    for _, text in results[1:]:
        assert f"{path} is " in text
        assert "being mounted on by process" in text or "mounted already" in text
        assert len(text.splitlines()) == 1
    assert mounts().count(str(path)) == 1


def test_mounts_at_one_moment(sandbox: Sandbox, path: Path) -> None:
    """One wins, the others say who has it, and unmounting leaves nothing."""
    check_one_has_won(path, mount_at_once(sandbox, path))
    empirical_mount("-u", path)
    assert str(path) not in mounts()
    wait_until(lambda: not processes(path), "the end of all")


def test_recoveries_at_one_moment(sandbox: Sandbox, mount: Mount) -> None:
    """A mount whose process was killed is recovered by one, and the others leave that one alone."""
    with mount() as mounted:
        mounted.kill(signal.SIGKILL)
        check_one_has_won(mounted.path, mount_at_once(sandbox, mounted.path))
        assert mounted.names() == set()


def test_one_that_fails_leaves_the_place_to_the_next(sandbox: Sandbox, path: Path) -> None:
    """What it made is gone, and so is its lock."""
    sandbox.plan(faults=[{"on": "list", "action": {"type": "status", "status": 401}, "times": 1}])
    command = ("--api-url", sandbox.url, path)
    variables = environment(EMPIRICALRUN_KEY=KEY)
    assert empirical_mount(*command, check=False, env=variables).returncode == 1
    assert not path.exists()
    empirical_mount(*command, env=variables)
    assert mounts().count(str(path)) == 1


def refused_under(limit: str, sandbox: Sandbox, path: Path, *options: str) -> str:
    """The line with which mounting fails under a limit of prlimit, before anything is mounted."""
    command = mount_command("--api-url", sandbox.url, *options, path)
    variables = environment(EMPIRICALRUN_KEY=KEY)
    done = run("prlimit", limit, *command, check=False, env=variables, timeout=3 * PATIENCE)
    assert done.returncode == 1
    assert str(path) not in mounts()
    assert not path.exists()
    return said(done)


@pytest.mark.parametrize("limit", [10, 16])
@pytest.mark.parametrize("foreground", [[], ["--foreground"]], ids=["background", "foreground"])
def test_too_few_descriptors(sandbox: Sandbox, path: Path, limit: int, foreground: list[str]) -> None:
    """A line says so before anything is mounted."""
    line = refused_under(f"--nofile={limit}:{limit}", sandbox, path, *foreground)
    assert "too few file descriptors" in line
    assert "ulimit -n" in line


@pytest.mark.parametrize("kib", [24_000, 40_000], ids=["while it imports", "before it mounts"])
def test_too_little_memory(sandbox: Sandbox, path: Path, kib: int) -> None:
    """A line says so, and names the limit, before anything is mounted (`ulimit -d`)."""
    line = refused_under(f"--data={kib * 1024}", sandbox, path)
    assert "memory" in line
    assert "-d" in line


def test_a_process_that_is_stopped_before_it_is_ready(sandbox: Sandbox, path: Path) -> None:
    """Who gives up waiting for it ends it all the same."""
    sandbox.plan(faults=[{"on": "list", "action": {"type": "silence"}}])
    with started("--api-url", sandbox.url, path, env=environment(EMPIRICALRUN_KEY=KEY)) as process:
        wait_until(lambda: sandbox.requests()["list"], "the request")
        (served,) = (each for each in processes(path) if each != process.pid)
        os.kill(served, signal.SIGSTOP)
        process.send(signal.SIGTERM)
        assert process.wait() != 0
    assert not processes(path)


@ONLY_ROOT
@pytest.mark.warns(
    "ERROR .*: the kernel has ended the mount at .*/mnt, which nobody unmounted", "mnt is mounted again"
)
def test_a_connection_that_the_kernel_gives_up(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """That is logged as what it is, and the mount is there again; a signal ends it as ever."""
    sandbox.put("a.txt", b"content")
    control = tmp_path / "control"
    control.mkdir()
    with mount() as mounted:
        number = os.minor(mounted.path.stat().st_dev)
        run("mount", "-t", "fusectl", "none", control)
        try:
            (control / str(number) / "abort").write_text("1")
        finally:
            run("umount", control)
        wait_until(lambda: any("mounted again" in line for line in mounted.log_lines()), "the next mount")
        assert "the kernel has ended the mount" in mounted.log_lines()[0]
        assert (mounted / "a.txt").read_bytes() == b"content"
        assert mounts().count(str(mounted.path)) == 1
        mounted.kill(signal.SIGTERM)
        assert str(mounted.path) not in mounts()
