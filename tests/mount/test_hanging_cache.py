"""A cache folder on a file system that hangs takes neither the mount nor a command with it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.hanging_disk import HangingDisk, hanging_disk
from tests.support.harness import (
    KEY,
    PATIENCE,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounts,
    noise,
    run,
    said,
    wait_until,
)

SIZE = 1_500_000
OLD = time.time() - 3600
CONTENTS = {f"{number}.bin": noise(SIZE, number) for number in range(12)}
TOO_LONG = "60"
"""The `--timeout` of reads: who waits for the disk waits longer than a test does."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[HangingDisk]:
    with hanging_disk(tmp_path / "hanging") as disk:
        yield disk


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    for name, content in CONTENTS.items():
        sandbox.put(name, content, OLD)
    return sandbox


@pytest.mark.may_warn("the folder .* does not answer; ", "the folder .* answers again")
def test_reads_go_on(project: Sandbox, mount: Mount, disk: HangingDisk) -> None:
    """From the network, within seconds; when the disk is back, from there. Commands say what is wrong."""
    options = ("--cache-dir", disk.path / "cache", "--cache-min-free", "0", "--timeout", TOO_LONG)
    with mount(*options) as mounted:
        for name in CONTENTS:
            (mounted / name).read_bytes()
        wait_until(lambda: os.getxattr(mounted / "11.bin", "user.empirical.cached") == b"100", "all on disk")
    with mount(*options) as mounted:
        disk.hang()
        try:
            begun = time.monotonic()
            for name, content in CONTENTS.items():
                assert (mounted / name).read_bytes() == content
            assert time.monotonic() - begun < PATIENCE
            assert os.getxattr(mounted / "0.bin", "user.empirical.cached") == b"0"
            for command in ("--cached", "--verify", "--prefetch"):
                done = empirical_mount(command, mounted.path, check=False)
                assert done.returncode == 1
                assert "does not answer" in said(done)
            told = "does not answer; until it does"
            wait_until(lambda: any(told in each for each in mounted.log_lines()), "a line in the log")
        finally:
            disk.go_on()
        wait_until(lambda: any("answers again" in each for each in mounted.log_lines()), "the disk is back")
        assert sum(told in each for each in mounted.log_lines()) == 1
        wait_until(
            lambda: os.getxattr(mounted / "0.bin", "user.empirical.cached") == b"100", "the disk is used"
        )
        assert run(*mount_command("--verify", mounted.path)).stdout.startswith("12 files: ")


def test_a_folder_that_hangs_from_the_start(project: Sandbox, disk: HangingDisk, tmp_path: Path) -> None:
    """A mount and the commands without one say so within seconds, in one line, and nothing is mounted."""
    cache = disk.path / "cache"
    cache.mkdir(mode=0o700)
    disk.hang()
    commands: list[list[str | Path]] = [
        ["--api-url", project.url, "--cache-dir", cache, tmp_path / "m"],
        ["--cached", "--cache-dir", cache],
        ["--verify", "--cache-dir", cache],
    ]
    wanted = environment(EMPIRICALRUN_KEY=KEY)
    for command in commands:
        done = empirical_mount(*command, check=False, env=wanted, timeout=PATIENCE)
        assert done.returncode == 1
        assert f"{cache} does not answer" in said(done)
    assert str(tmp_path / "m") not in mounts()
