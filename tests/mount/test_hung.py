"""What every command comes to beside a mount whose process hangs: a word on that, after two seconds."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounts,
    run,
    said,
    unmount,
    wait_until,
)

SOON = 30.0
"""Seconds for a command that waits for two, on a machine with other work."""
MUTE = Path(__file__).parents[1] / "support" / "mute.py"
ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount without libfuse")
SILENT = "does not answer"


@contextmanager
def stopped(mounted: Mounted) -> Iterator[None]:
    pid = mounted.pid
    try:
        stop(pid)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def stop(pid: int) -> None:
    """Stop a process: no thread takes one more request, whose asker could not be killed any more."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _is_stopped(pid), "the stop")


def _is_stopped(pid: int) -> bool:
    """Whether every thread of the process is."""
    states = [(each / "stat").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    return all(each.rpartition(")")[2].split()[0] == "T" for each in states)


def command(*arguments: str | Path, url: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
    """Run one that may fail, and does not hang."""
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=url)
    return empirical_mount(*arguments, check=False, timeout=SOON, env=variables)


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Path]:
    """A mount whose process takes every request and answers none."""
    path = tmp_path / "mute"
    path.mkdir()
    with subprocess.Popen([sys.executable, MUTE, path], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield path
        finally:
            process.kill()
    unmount(path)


def test_a_process_that_is_stopped(sandbox: Sandbox, mount: Mount) -> None:
    """The state, of one or of all, mounting again and unmounting all say so, and nobody hangs."""
    with mount() as mounted:
        with stopped(mounted):
            (report,) = json.loads(command("--status", "--json", mounted.path).stdout)
            assert SILENT in report["error"]
            assert SILENT in command("--status").stdout
            assert SILENT in said(command("--reload", mounted.path))
            again = command(mounted.path, url=sandbox.url)
            assert again.returncode == 1
            assert "is mounted already" in said(again)
            assert SILENT in said(again)

            def unmounts() -> bool:
                done = command("-u", mounted.path)
                assert SILENT in said(done)
                return done.returncode == 0

            # A test beside this one may be asking all mounts for their state, and this one does not answer.
            wait_until(unmounts, "the unmount")
            assert str(mounted.path) not in mounts()
        wait_until(lambda: str(mounted.path) not in mounts(), "the end")


def test_one_that_is_stopped_and_in_use(mount: Mount) -> None:
    """It is not taken away from its users unless it is asked for."""
    with mount() as mounted, subprocess.Popen(["sleep", "60"], cwd=mounted.path) as user, stopped(mounted):
        try:
            done = command("-u", mounted.path)
            assert (done.returncode, SILENT in said(done)) == (1, True)
            assert str(mounted.path) in mounts()
            run(*mount_command("-u", "--lazy", mounted.path), timeout=SOON)
            assert str(mounted.path) not in mounts()
        finally:
            user.kill()


@ONLY_ROOT
def test_a_process_that_is_stuck(mute: Path) -> None:
    """Whoever asked it cannot be ended, and is left behind; no command waits for that."""
    begun = time.monotonic()
    assert SILENT in command("--status", mute).stdout
    assert SILENT in said(command(mute))
    assert SILENT in said(command("-u", mute))
    link = mute.with_name("link")
    link.symlink_to(mute)
    run(*mount_command("-u", "--lazy", link), timeout=SOON)
    assert str(mute) not in mounts()
    assert time.monotonic() - begun < 4 * SOON


def test_what_lies_in_a_mount_that_hangs(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A mount point, a log, a key or a configuration there: one line, and nobody hangs with it."""
    with mount() as mounted, stopped(mounted):
        inside, other = mounted.path / "inside", tmp_path / "other"
        for arguments in (
            [inside],
            ["--log-file", inside, other],
            ["--key-file", inside, other],
            ["--config", inside, other],
        ):
            done = command(*arguments, url=sandbox.url)
            assert done.returncode == 1
            assert SILENT in said(done)
