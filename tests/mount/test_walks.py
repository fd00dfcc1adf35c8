"""Programs that go through many small files: what they read is right, comes early, and comes once."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, noise, run, wait_until

KIB = 2**10
COUNT = 120
LATENCY = 0.1
FILES = {f"file {number:03}.txt": noise(4 * KIB + number, number) for number in range(COUNT)}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A project of many small files, whose store takes a while to answer."""
    for name, content in FILES.items():
        sandbox.put(name, content)
    sandbox.plan(store_latency_s=LATENCY)
    return sandbox


def size_of(files: dict[str, bytes]) -> int:
    return sum(len(content) for content in files.values())


def copy_by_rsync(source: Path, target: Path) -> None:
    run("rsync", "-a", f"{source}/", target)


def copy_by_cp(source: Path, target: Path) -> None:
    run("cp", "-r", f"{source}/.", target)


def copy_by_tar(source: Path, target: Path) -> None:
    run("tar", "cf", target.parent / "all.tar", "-C", source, ".")
    run("tar", "xf", target.parent / "all.tar", "-C", target)


def copy_by_four_at_once(source: Path, target: Path) -> None:
    """Four processes side by side, which get out of step."""
    run("bash", "-c", f"ls '{source}' | xargs -d '\\n' -P 4 -I {{}} cp '{source}/{{}}' '{target}'")


@pytest.mark.parametrize("copy", [copy_by_rsync, copy_by_cp, copy_by_tar, copy_by_four_at_once])
def test_a_walk_does_not_wait_for_each_file(
    project: Sandbox, mount: Mount, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    """A program that copies the directory gets each byte right and once, many files at a time."""
    target = tmp_path / "copy"
    target.mkdir()
    with mount() as mounted:
        copy(mounted.path, target)
        requests = project.requests()
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES
    assert requests["object"] == COUNT
    assert requests["object_bytes"] == size_of(FILES)
    assert requests["in_flight_peak"]["store"] >= 16


def test_grep_finds_what_is_there(project: Sandbox, mount: Mount) -> None:
    """`grep -r` finds the one file that holds a word, and fetches each file once."""
    project.put("needle.txt", b"here it is\n")
    with mount() as mounted:
        found = run("grep", "-r", "-l", "here it is", mounted.path).stdout
        requests = project.requests()
    assert found == f"{mounted / 'needle.txt'}\n"
    assert requests["object_bytes"] == size_of(FILES) + len(b"here it is\n")


def test_it_can_be_turned_off(project: Sandbox, mount: Mount) -> None:
    """With `--siblings 0` each file is fetched when it is read, and one after another."""
    with mount("--siblings", "0") as mounted:
        for name in sorted(FILES)[:12]:
            assert (mounted / name).read_bytes() == FILES[name]
        requests = project.requests()
    assert requests["object"] == 12
    assert requests["in_flight_peak"]["store"] == 1


def test_large_files_are_left_to_their_readers(sandbox: Sandbox, mount: Mount) -> None:
    """Files above 256 KiB are not fetched ahead, those between them are."""
    files = {f"{number:02}.bin": noise(256 * KIB + number % 2, number) for number in range(20)}
    for name, content in files.items():
        sandbox.put(name, content)
    names = sorted(files)
    numbers = {sandbox.id_of(name): number for number, name in enumerate(names)}

    def asked_ahead() -> set[int]:
        asked = {entry["id"] for entry in sandbox.requests()["log"] if entry["kind"] == "object"}
        return {numbers[each] for each in asked if numbers[each] >= 10}

    with mount() as mounted:
        for name in names[:10]:
            with (mounted / name).open("rb", buffering=0) as file:
                assert file.read(1) == files[name][:1]
        wait_until(lambda: 18 in asked_ahead(), "the last small file")
        assert asked_ahead() == {10, 12, 14, 16, 18}


@pytest.mark.parametrize("seed", range(3))
def test_opening_here_and_there_costs_nothing(project: Sandbox, mount: Mount, seed: int) -> None:
    """Files that are read in no order are fetched alone: one request each."""
    names = random.Random(seed).sample(sorted(FILES), 15)
    with mount() as mounted:
        for name in names:
            assert (mounted / name).read_bytes() == FILES[name]
        requests = project.requests()
    assert requests["object"] == len(names)


def test_looking_around_costs_nothing(project: Sandbox, mount: Mount) -> None:
    """Listing, finding and opening without reading fetch no byte."""
    with mount() as mounted:
        run("ls", "-l", mounted.path)
        run("find", mounted.path, "-name", "*.txt", "-size", "+1k")
        run("du", "-s", mounted.path)
        for name in sorted(FILES):
            os.close(os.open(mounted / name, os.O_RDONLY))
        assert project.requests()["object"] == 0


def test_it_stops_when_the_walk_stops(project: Sandbox, mount: Mount) -> None:
    """After a few files no more than a few are fetched in vain, and nothing afterwards."""
    with mount() as mounted:
        for name in sorted(FILES)[:5]:
            assert (mounted / name).read_bytes() == FILES[name]
        # One more read here and there shows that those ahead were all that was planned.
        assert (mounted / "file 100.txt").read_bytes() == FILES["file 100.txt"]
        requests = project.requests()
    assert requests["object"] <= 5 + 8 + 1


def test_a_replaced_file_is_never_its_old_self(project: Sandbox, mount: Mount) -> None:
    """A file that was fetched ahead and then replaced is read as what it is now."""
    names = sorted(FILES)
    with mount("--refresh", "1") as mounted:
        for name in names[:8]:
            assert (mounted / name).read_bytes() == FILES[name]
        ahead = names[9]
        project.put(ahead, b"replaced")
        wait_until(lambda: (mounted / ahead).stat().st_size == len(b"replaced"), "the new listing")
        assert (mounted / ahead).read_bytes() == b"replaced"
        for name in names[10:40]:
            assert (mounted / name).read_bytes() == FILES[name]


def test_little_memory_fails_nothing(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """With a budget that holds a few files only, a walk is slower and still right."""
    target = tmp_path / "copy"
    target.mkdir()
    with mount("--memory", "1M") as mounted:
        copy_by_cp(mounted.path, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES


def test_a_store_that_fails_now_and_then(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """Files whose fetch ahead failed are fetched again when they are read."""
    action = {"type": "status", "status": 503, "retry_after": "0"}
    project.plan(faults=[{"on": "object", "action": action, "every": 3}])
    target = tmp_path / "copy"
    target.mkdir()
    with mount() as mounted:
        copy_by_rsync(mounted.path, target)
        assert project.requests()["faults"] >= COUNT // 4
    assert {path.name: path.read_bytes() for path in target.iterdir()} == FILES
