"""Several processes, kill -9, and a small disk: every byte is right, and the cache goes on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from empirical_fs.cache.bounds import Limits, Space
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.record import BLOCK
from tests.unit.cache.disks import Clock, age, check, content, opened, usage_of, version

MIB = 2**20
_REPOSITORY = Path(__file__).parents[3]


def run(*arguments: str) -> list[list[str]]:
    """Run the module that forks; returns what it has printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.cache.side_by_side", *arguments],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_two_processes_side_by_side_read_right_bytes_and_keep_to_the_limit(tmp_path: Path) -> None:
    found = run("beside", str(tmp_path / "cache"), "2")
    assert len(found) == 2
    for hits, _misses, kept, _damaged in found:
        assert int(hits) > 0
        assert int(kept) > 0


def test_a_process_killed_at_any_moment_leaves_no_wrong_byte(tmp_path: Path) -> None:
    found = run("killed", str(tmp_path / "cache"), "20")
    assert int(found[-1][0]) > 0
    with opened(tmp_path / "cache") as store:
        assert len(list((tmp_path / "cache" / "v1" / "processes").iterdir())) > 1
        # What they had reserved is given back at once.
        assert store.state.reserved == 0
        assert store.state.used is not None
        assert store.state.used <= usage_of(tmp_path / "cache") + MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m,nr_inodes=200,mode=0700"]
    if os.geteuid() != 0 or subprocess.run(["mount", *options, "none", disk], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.warns("takes nothing for a minute: No space left on device")
def test_a_full_disk_stops_the_cache_and_no_reader(small_disk: Path) -> None:
    class Boasting(Io):
        def space(self, path: Path) -> Space:
            return Space(2**40, 2**40, 0, 0)

    clock = Clock()
    with opened(small_disk / "cache", io=Boasting(), clock=clock) as store:
        for number in range(4):
            data = content(20 * BLOCK, number)
            cached = version(store, data, key=ResourceKey("", "", number))
            for block in range(20):
                cached.keep(block, data[block * BLOCK :][:BLOCK])
            check(cached, data)
            cached.close()
            clock.now += 61


def test_free_space_is_left_on_a_small_disk_and_what_is_old_makes_room(small_disk: Path) -> None:
    clock = Clock()
    least = 2 * 2**20
    with opened(small_disk / "cache", Limits(2**30, min_free_percent=25), clock=clock) as store:
        for number in range(4):
            data = content(8 * BLOCK, number)
            cached = version(store, data, key=ResourceKey("", "", number))
            for block in range(8):
                cached.keep(block, data[block * BLOCK :][:BLOCK])
                space = os.statvfs(small_disk)
                least = min(least, space.f_bavail * space.f_frsize)
            assert check(cached, data) == [True] * 8
            cached.close()
            age(small_disk)
            clock.now += 400
    assert least >= 2**19
    assert usage_of(small_disk) > 8 * BLOCK
