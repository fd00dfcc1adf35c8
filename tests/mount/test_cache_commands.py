"""The commands of the cache on disk, on a real mount: what it has, fetching it ahead, checking, removing."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, mount_command, noise, run, wait_until

MIB = 2**20
OLD = time.time() - 3600
"""When the files were changed: a version that is younger than a minute is not trusted yet."""


def empirical_mount(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(*mount_command(*arguments), check=check)


def answer(*arguments: str | Path, check: bool = True) -> Any:
    return json.loads(empirical_mount(*arguments, "--json", check=check).stdout)


def percent(path: Path) -> int:
    return int(os.getxattr(path, "user.empirical.cached"))


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("a.bin", noise(3 * MIB), OLD)
    sandbox.put("b.txt", b"b", OLD)
    return sandbox


def test_status_and_percentage(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """`--status` tells what the cache has done, and an attribute how much of a file is on disk."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        assert "user.empirical.cached" in os.listxattr(mounted / "a.bin")
        assert "user.empirical.cached" not in os.listxattr(mounted.path)
        assert (percent(mounted / "a.bin"), percent(mounted / "b.txt")) == (0, 0)
        (mounted / "a.bin").read_bytes()
        wait_until(lambda: percent(mounted / "a.bin") == 100, "all of the file on disk")
        assert percent(mounted / "b.txt") == 0
        (report,) = answer("--status", mounted.path)
        cache = report["cache"]
        assert (cache["folder"], cache["limit"], cache["paused"]) == (
            str(tmp_path / "cache"),
            10 * 2**30,
            None,
        )
        assert (cache["blocks_written"], cache["blocks_dropped"], cache["blocks_damaged"]) == (48, 0, 0)
        assert 3 * MIB <= cache["used"] < 64 * MIB


def test_without_a_cache(project: Sandbox, mount: Mount) -> None:
    """The cache is off, and no attribute says how much is in it."""
    with mount() as mounted:
        assert "user.empirical.cached" not in os.listxattr(mounted / "a.bin")
        with pytest.raises(OSError, match=os.strerror(61)):
            percent(mounted / "a.bin")
        (report,) = answer("--status", mounted.path)
        assert report["cache"] is None
