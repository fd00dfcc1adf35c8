"""The commands of the cache on disk, on a real mount: what it has, fetching it ahead, checking, removing."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.forked import heed_signals
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    noise,
    opened,
    run,
    said,
    wait_until,
)
from tests.support.started import started

MIB = 2**20
OLD = time.time() - 3600
"""When the files were changed: a version that is younger than a minute is not trusted yet."""


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


def rows(mounted: Mounted) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in answer("--cached", mounted.path)}


def damage(cache: Path) -> None:
    """Change a byte in the middle of every data file."""
    for each in cache.rglob("*.data"):
        with each.open("r+b") as file:
            file.seek(each.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes((byte[0] ^ 1,)))


def test_prefetch(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """It fetches what is missing and nothing else; reads then ask the store for nothing."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        assert answer("--prefetch", mounted.path, "a*") == {
            "files": 1,
            "bytes": 3 * MIB,
            "failed": 0,
            "failures": [],
        }
        assert (percent(mounted / "a.bin"), percent(mounted / "b.txt")) == (100, 0)
        project.forget_requests()
        assert empirical_mount("--prefetch", mounted.path).stdout == "in the cache: 2 files, 3.0 MiB\n"
        assert set(project.spans()) == {(0, 1)}
        assert (mounted / "a.bin").read_bytes() == noise(3 * MIB)
        assert (mounted / "b.txt").read_bytes() == b"b"
        # When a file is opened, the store is asked for one byte: whether it is still the same.
        assert set(project.spans()) == {(0, 1)}
        assert {name: row["percent"] for name, row in rows(mounted).items()} == {"a.bin": 100, "b.txt": 100}
        table = empirical_mount("--cached", mounted.path).stdout.splitlines()
        assert [line.split()[:4] for line in table] == [
            ["FILE", "SIZE", "CACHED", "PINNED"],
            ["a.bin", "3.0", "MiB", "100%"],
            ["b.txt", "1", "B", "100%"],
        ]


def test_a_prefetch_goes_on_where_it_stopped(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """Ctrl-C ends it at once and leaves what is there, of which nothing is fetched again."""
    project.put("large.bin", noise(40 * MIB, seed=1), OLD)
    project.plan(bytes_per_second=4 * MIB)
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        with started("--prefetch", mounted.path, "large.bin", first=heed_signals) as command:
            wait_until(lambda: percent(mounted / "large.bin") >= 10, "a tenth of the file on disk")
            command.send(signal.SIGINT)
            assert (command.wait(), command.said()) == (130, ("", ""))
        wait_until(lambda: _is_idle(mounted), "the end of the requests")
        wait_until(lambda: _has_written(mounted), "the blocks on disk")
        there = rows(mounted)["large.bin"]["cached_bytes"]
        assert 4 * MIB <= there < 40 * MIB
        project.plan()
        project.forget_requests()
        assert answer("--prefetch", mounted.path, "large.bin")["files"] == 1
        assert sum(stop - start for start, stop in project.spans()) <= 40 * MIB - there
        project.forget_requests()
        assert (mounted / "large.bin").read_bytes() == noise(40 * MIB, seed=1)
        # At most the look of an open whether the store still has this version.
        assert sum(stop - start for start, stop in project.spans()) <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_prefetch_ends_with_its_command(
    project: Sandbox, mount: Mount, tmp_path: Path, number: signal.Signals
) -> None:
    """However that ends, the mount fetches nothing more in a few seconds."""
    project.put("large.bin", noise(40 * MIB, seed=1), OLD)
    project.plan(bytes_per_second=MIB)
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        with started("--prefetch", mounted.path, "large.bin") as command:
            wait_until(lambda: percent(mounted / "large.bin") >= 10, "a tenth of the file on disk")
            command.send(number)
            assert command.wait() == (143 if number is signal.SIGTERM else -signal.SIGKILL)
            assert command.said()[1] == ""
        wait_until(lambda: _is_idle(mounted), "the end of the requests", 15)
        assert percent(mounted / "large.bin") < 100


def _is_idle(mounted: Mounted) -> bool:
    (report,) = answer("--status", mounted.path)
    return not report["requests_in_flight"]["store"]


def _has_written(mounted: Mounted) -> bool:
    (before,) = answer("--status", mounted.path)
    (after,) = answer("--status", mounted.path)
    return bool(before["cache"]["blocks_written"] == after["cache"]["blocks_written"])


def test_what_a_program_opens_goes_first(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A file at the end of a long prefetch is read at once, and the rest of it comes next."""
    for number in range(30):
        sandbox.put(f"{number:02}.bin", noise(MIB, seed=number), OLD)
    sandbox.plan(bytes_per_second=MIB)
    with mount("--cache-dir", tmp_path / "cache") as mounted, started("--prefetch", mounted.path):
        wait_until(lambda: percent(mounted / "00.bin"), "the first file on disk")
        assert percent(mounted / "29.bin") == 0
        with (mounted / "29.bin").open("rb") as file:
            assert file.read(10) == noise(MIB, seed=29)[:10]
            wait_until(lambda: percent(mounted / "29.bin") == 100, "the opened file on disk")
            assert percent(mounted / "28.bin") == 0


def test_verify(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """Damage is found, told by a status, dropped and not served: with a mount, and without one."""
    cache = tmp_path / "cache"
    with mount("--cache-dir", cache) as mounted:
        answer("--prefetch", mounted.path)
        found = answer("--verify", mounted.path)
        assert found == {"files": 2, "good": 49, "damaged": 0, "unreadable": 0, "files_with_trouble": []}
        assert (mounted / "a.bin").read_bytes() == noise(3 * MIB)  # verified by this process, too
        damage(cache)
        done = empirical_mount("--verify", mounted.path, check=False)
        assert done.returncode == 1
        assert "2 files: 47 blocks are good, 2 damaged" in done.stdout
        assert "a.bin: 1 block was damaged, and dropped" in done.stderr
        assert empirical_mount("--verify", mounted.path).stdout == "2 files: 47 blocks are good, 0 damaged\n"
        assert percent(mounted / "a.bin") == 97
        answer("--prefetch", mounted.path)
        with opened(mounted / "a.bin") as descriptor:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        assert (mounted / "a.bin").read_bytes() == noise(3 * MIB)
    damage(cache)
    done = empirical_mount("--verify", "--cache-dir", cache, "--json", check=False)
    assert (done.returncode, json.loads(done.stdout)["damaged"]) == (1, 2)
    assert answer("--verify", "--cache-dir", cache)["damaged"] == 0
    assert {row["name"] for row in answer("--cached", "--cache-dir", cache)} == {None}
    # Who has the key is told the names, by the listing that was kept.
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=project.url)
    named = json.loads(empirical_mount("--cached", "--json", "--cache-dir", cache, env=variables).stdout)
    assert {row["name"] for row in named} == {"a.bin", "b.txt"}
    assert all(row["current"] for row in named)
    record = next(cache.rglob("*.record"))
    record.write_bytes(bytes(record.stat().st_size))
    done = empirical_mount("--verify", "--cache-dir", cache, check=False)
    assert done.returncode == 1
    assert done.stdout.endswith("0 damaged; 1 file more cannot be read\n")
    assert answer("--verify", "--cache-dir", cache)["unreadable"] == 0


def test_verify_online(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """What the store has replaced, though the listing does not say so, is found and removed."""
    with mount("--cache-dir", tmp_path / "cache", "--refresh", "3600") as mounted:
        answer("--prefetch", mounted.path)
        found = answer("--verify", "--online", mounted.path)
        assert (found["outdated"], found["not_asked"]) == (0, 0)
        project.put("a.bin", noise(3 * MIB, seed=5), OLD + 10)
        done = empirical_mount("--verify", "--online", mounted.path, "--json", check=False)
        found = json.loads(done.stdout)
        assert (done.returncode, found["outdated"], found["not_asked"]) == (1, 1, 0)
        assert [each["name"] for each in found["files_with_trouble"]] == ["a.bin"]
        assert set(rows(mounted)) == {"b.txt"}
        answer("--pin", mounted.path, "b.txt")
        project.put("b.txt", b"c", OLD + 10)
        done = empirical_mount("--verify", "--online", mounted.path, check=False)
        assert "b.txt: the store has another version by now" in done.stderr
        wait_until(lambda: percent(mounted / "b.txt") == 100, "its new version, as it is pinned")
        assert rows(mounted)["b.txt"]["pinned"]
        assert (mounted / "b.txt").read_bytes() == b"c"


def test_evict(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A file is removed from the cache, also while it is open, and pinned or not; then it is fetched."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        answer("--pin", mounted.path, "*")
        with (mounted / "a.bin").open("rb") as file:
            assert answer("--evict", mounted.path, "a.bin")["bytes_freed"] >= 3 * MIB
            assert percent(mounted / "a.bin") == 0
            assert set(rows(mounted)) == {"b.txt"}
            assert file.read() == noise(3 * MIB)
        assert answer("--prefetch", mounted.path)["files"] == 2
        assert {name: row["pinned"] for name, row in rows(mounted).items()} == {"a.bin": False, "b.txt": True}


def test_pinned_files_are_kept_current(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A new version is fetched by itself and pinned, and the old one is not pinned any more."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        assert answer("--pin", mounted.path, "a.bin")["files"] == 1
        assert rows(mounted)["a.bin"]["pinned"]
    project.put("a.bin", noise(2 * MIB, seed=7), OLD + 10)
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        wait_until(
            lambda: percent(mounted / "a.bin") == 100, "the version that came while nothing was mounted"
        )
        project.put("a.bin", noise(MIB, seed=8), OLD + 20)
        empirical_mount("--reload", mounted.path)
        wait_until(lambda: percent(mounted / "a.bin") == 100, "the version that came with a refresh")
        wait_until(lambda: _pinned_sizes(mounted) == {MIB}, "one pinned version")
        assert answer("--unpin", mounted.path, "a*") == {"files": 1}
        assert _pinned_sizes(mounted) == set()


@pytest.mark.warns("1 of the pinned files cannot be kept current: it is larger than the cache")
# What is being written stays in the cache.
@pytest.mark.may_warn("1 of the pinned files cannot be kept current: it is full")
def test_pinned_files_are_kept_current_in_a_full_cache(
    project: Sandbox, mount: Mount, tmp_path: Path
) -> None:
    """What programs have just read makes room; where all is pinned, every command says so."""
    for number in range(6):
        project.put(f"o{number}.bin", noise(MIB, seed=number + 10), OLD)
    with mount("--cache-dir", tmp_path / "cache", "--cache-size", "7M", "--cache-min-free", "0") as mounted:
        for number in range(6):
            (mounted / f"o{number}.bin").read_bytes()

        def is_pinned() -> bool:
            return empirical_mount("--pin", mounted.path, "a.bin", check=False).returncode == 0

        wait_until(is_pinned, "room, once all is written", patience=90)
        for number in range(6):
            (mounted / f"o{number}.bin").read_bytes()
        project.put("a.bin", noise(2 * MIB, seed=7), OLD + 10)
        empirical_mount("--reload", mounted.path)
        # Where there is no room at once, it is tried again after a pause.
        new = "the version that came with a refresh"
        wait_until(lambda: percent(mounted / "a.bin") == 100, new, patience=90)
        wait_until(lambda: _pinned_sizes(mounted) == {2 * MIB}, "one pinned version")
        assert answer("--status", mounted.path)[0]["cache"]["pinned_not_current"] == 0
        project.put("a.bin", noise(9 * MIB, seed=8), OLD + 20)
        empirical_mount("--reload", mounted.path)
        wait_until(
            lambda: answer("--status", mounted.path)[0]["cache"]["pinned_not_current"] == 1, "it is told"
        )
        wait_until(lambda: "cannot be kept current" in mounted.log.read_text(), "why")
        (row,) = [
            each for each in answer("--cached", mounted.path) if each["name"] == "a.bin" and each["current"]
        ]
        assert (row["pinned"], row["percent"], row["size"]) == (True, 0, 9 * MIB)
        assert "1 pinned file is not current" in empirical_mount("--status", mounted.path).stdout
        done = empirical_mount("--pin", mounted.path, "a.bin", check=False)
        assert (done.returncode, "larger" in said(done)) == (1, True)


def _pinned_sizes(mounted: Mounted) -> set[int]:
    return {row["size"] for row in answer("--cached", mounted.path) if row["pinned"]}


def test_what_does_not_fit(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """It is refused before anything is fetched, in one line that says what to do."""
    with mount("--cache-dir", tmp_path / "cache", "--cache-size", "2M") as mounted:
        done = empirical_mount("--prefetch", mounted.path, check=False)
        assert done.returncode == 1
        assert said(done).endswith("choose fewer, or mount with a larger --cache-size")
        # At most the look of an open whether the store still has this version.
        assert sum(stop - start for start, stop in project.spans()) <= 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--prefetch",), "the following arguments are required: MOUNTPOINT"),
        (("--pin", "/mnt"), "the following arguments are required: PATTERN"),
        (("--evict", "/mnt"), "the following arguments are required: PATTERN"),
        (("--verify", "/mnt", "x"), "one MOUNTPOINT at a time, not 2"),
        (("--verify", "--online"), "the following arguments are required: MOUNTPOINT"),
        (("--status", "--online"), "--online goes with --verify"),
        (("--cached", "--evict", "/mnt", "x"), "not allowed with argument --cached"),
    ],
)
def test_usage(arguments: tuple[str, ...], line: str) -> None:
    """What does not fit together is told in one line, with the status of usage errors."""
    done = empirical_mount(*arguments, check=False)
    assert done.returncode == 2
    assert line in said(done)


def test_errors_are_one_line(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """The line says what is wrong."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        for arguments, line in (
            (("--unpin", mounted.path, "nothing*"), "no file matches nothing*; see the names with ls"),
            (("--unpin", mounted.path, "/etc/passwd"), "/etc/passwd is not in the mount; give names"),
            (("--cached", "--cache-dir", "/nowhere"), "there is no cache in /nowhere; give MOUNTPOINT"),
            (("--cached", "/"), "what is mounted at / "),
        ):
            done = empirical_mount(*arguments, check=False)
            assert done.returncode == (2 if "/etc" in line else 1)
            assert line in said(done)


def test_commands_without_a_cache(project: Sandbox, mount: Mount) -> None:
    """A mount whose cache is off says so, and how it is turned on."""
    with mount() as mounted:
        done = empirical_mount("--cached", mounted.path, check=False)
        assert done.returncode == 1
        assert said(done).endswith("the cache of this mount is off; mount it again with --cache")


def test_a_path_in_the_mount(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """The shell completes names to paths, which stand for the names."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        assert answer("--prefetch", mounted.path, mounted / "b.txt")["files"] == 1
        assert set(rows(mounted)) == {"b.txt"}


def test_a_young_version(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """What was uploaded a moment ago can be fetched, and the percentage says so at once."""
    sandbox.put("a.bin", noise(3 * MIB))
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        assert answer("--prefetch", mounted.path)["files"] == 1
        assert percent(mounted / "a.bin") == 100
        assert (mounted / "a.bin").read_bytes() == noise(3 * MIB)
        assert percent(mounted / "a.bin") == 100


def test_progress_on_a_terminal(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A terminal shows how far a command is, in files and bytes; other outputs get the answer alone."""
    with mount("--cache-dir", tmp_path / "cache") as mounted:
        command = f"stty columns 100 rows 24; {sys.executable} -m empirical_fs --prefetch {mounted.path}"
        shown = run("script", "-qec", command, "/dev/null").stdout
        assert "prefetch: 100%" in shown
        assert "3.00M/3.00M" in shown
        assert "2 of 2 files" in shown
        assert shown.endswith("in the cache: 2 files, 3.0 MiB\n")


def test_a_store_that_fails(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """It is not asked for each of many files; once it answers again, the prefetch goes on."""
    for number in range(40):
        sandbox.put(f"{number}.txt", b"content", OLD)
    sandbox.plan(faults=[{"on": "object", "action": {"type": "status", "status": 500}}])
    with mount("--cache-dir", tmp_path / "cache", "--timeout", "6") as mounted:
        done = empirical_mount("--prefetch", mounted.path, check=False)
        assert done.returncode == 1
        assert "it ended after 0 of 40 files: the store answered HTTP 500" in said(done)
        sandbox.plan()
        assert answer("--prefetch", mounted.path)["files"] == 40
