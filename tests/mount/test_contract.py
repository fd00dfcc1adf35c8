"""The promises of the README, each run once on a real mount."""

import errno
import hashlib
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    Sandbox,
    empirical_mount,
    environment,
    mounted_by_program,
    mounts,
    noise,
    processes,
    run,
    said,
    wait_until,
)

pytestmark = pytest.mark.both_libraries

SIZES = {"empty": 0, "one": 1, "page": 4096, "kernel-read": 131_072, "odd": 131_073, "large.bin": 8_000_003}

PREADS = """
import hashlib, os, random, sys
path, source, seed = sys.argv[1:]
chance = random.Random(seed)
with open(path, "rb", buffering=0) as mounted, open(source, "rb") as original:
    size = os.fstat(original.fileno()).st_size
    for _ in range(50):
        offset, length = chance.randrange(size), chance.randrange(1, 300_000)
        assert os.pread(mounted.fileno(), length, offset) == os.pread(original.fileno(), length, offset)
"""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    for seed, (name, size) in enumerate(SIZES.items()):
        sandbox.put(name, noise(size, seed), mtime=1_700_000_000 + seed)
    return sandbox


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_attributes_are_those_of_the_listing(project: Sandbox, mount: Mount) -> None:
    """Name, size and date of every file are what the API lists, and nothing else is there."""
    with mount() as mounted:
        seen = {path.name: path.stat() for path in mounted.path.iterdir()}
        listed = {resource["name"]: resource for resource in project.listing()}
        assert set(seen) == set(listed) == set(SIZES)
        for name, stat in seen.items():
            assert stat.st_size == listed[name]["size_bytes"] == SIZES[name]
            assert stat.st_mtime_ns == (project.folder / name).stat().st_mtime_ns // 1000 * 1000
        assert len({stat.st_ino for stat in seen.values()}) == len(seen)


def test_every_file_reads_as_its_source(project: Sandbox, mount: Mount) -> None:
    """sha256sum of each file of the mount is that of what was uploaded."""
    with mount() as mounted:
        for name in SIZES:
            assert sha256(mounted / name) == sha256(project.folder / name)


def test_random_reads_from_eight_processes(project: Sandbox, mount: Mount) -> None:
    """Eight processes that read at random places of one file get the bytes of these places."""
    with mount() as mounted:
        paths = [str(mounted / "large.bin"), str(project.folder / "large.bin")]
        command = [sys.executable, "-c", PREADS, *paths]
        readers = [subprocess.Popen([*command, str(seed)], env=environment()) for seed in range(8)]
        assert [reader.wait(60) for reader in readers] == [0] * 8


def test_rsync_transfers_nothing_the_second_time(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A second rsync finds every file up to date, and one that compares contents finds no difference."""
    with mount() as mounted:
        copy = ["rsync", "-a", "--stats", f"{mounted.path}/", f"{tmp_path}/copy/"]
        assert f"files transferred: {len(SIZES)}" in run(*copy).stdout
        assert "files transferred: 0" in run(*copy).stdout
        assert "files transferred: 0" in run(*copy, "-c").stdout
        assert run("diff", "-r", project.folder, tmp_path / "copy").stdout == ""


def test_a_url_that_expires_while_a_file_is_read(project: Sandbox, mount: Mount) -> None:
    """A reader never notices that the store has refused the URL half way through the file."""
    with mount() as mounted, (mounted / "large.bin").open("rb", buffering=0) as file:
        before = file.read(1000)
        project.plan(clock_offset_s=7200)
        project.forget_requests()
        file.seek(6_000_000)
        rest = file.read(1_000_000)
        assert before + rest == noise(8_000_003, 5)[:1000] + noise(8_000_003, 5)[6_000_000:7_000_000]
        assert project.requests()["refused"] >= 1
        assert project.requests()["get"] == 1


def test_many_readers_sign_again_once(project: Sandbox, mount: Mount) -> None:
    """Sixteen readers whose URL has expired wait for one request that signs it again."""
    with mount() as mounted, (mounted / "large.bin").open("rb", buffering=0) as file:
        project.plan(clock_offset_s=7200, api_latency_s=0.3)
        project.forget_requests()
        with ThreadPoolExecutor(16) as pool:
            offsets = [number * 490_000 for number in range(1, 17)]
            pieces = list(pool.map(lambda offset: os.pread(file.fileno(), 4096, offset), offsets))
        content = noise(8_000_003, 5)
        assert pieces == [content[offset : offset + 4096] for offset in offsets]
        assert project.requests()["get"] == 1


def test_a_server_without_ranges_is_read_once(project: Sandbox, mount: Mount) -> None:
    """Where ranges are ignored, one streamed body serves every read of the file."""
    project.plan(ranges="ignored")
    with mount() as mounted:
        assert sha256(mounted / "large.bin") == sha256(project.folder / "large.bin")
        requests = [entry for entry in project.requests()["log"] if entry["kind"] == "object"]
        assert len(requests) <= 2


def test_a_body_that_breaks_off_is_resumed(project: Sandbox, mount: Mount) -> None:
    """A body that is cut goes on at the byte where it broke."""
    project.plan(faults=[{"on": "object", "every": 2, "action": {"type": "cut", "after": 100_000}}])
    with mount() as mounted:
        assert sha256(mounted / "large.bin") == sha256(project.folder / "large.bin")
        assert project.requests()["object_bytes"] < SIZES["large.bin"] * 1.1


@pytest.mark.warns("read /large.bin: the (file changed since|object has another ETag)")
def test_replaced_content(project: Sandbox, mount: Mount) -> None:
    """A handle on replaced content gets ESTALE, and a new one the new bytes."""
    with mount("--refresh", "0.2") as mounted, (mounted / "large.bin").open("rb", buffering=0) as old:
        assert old.read(4096) == noise(8_000_003, 5)[:4096]
        project.put("large.bin", noise(8_000_003, 99))
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            os.pread(old.fileno(), 4096, 5_000_000)
        wait_until(lambda: (mounted / "large.bin").read_bytes() == noise(8_000_003, 99), "the new bytes")


def test_new_renamed_and_deleted_files(project: Sandbox, mount: Mount) -> None:
    """What changes in the project changes in the directory once the listing is old."""
    with mount("--refresh", "0.2") as mounted:
        inode = (mounted / "one").stat().st_ino
        project.put("new", b"new")
        project.patch(project.id_of("one"), name="uno")
        (project.folder / "page").unlink()
        expected = (set(SIZES) | {"new", "uno"}) - {"one", "page"}
        wait_until(lambda: mounted.names() == expected, "the changes")
        assert (mounted / "uno").stat().st_ino == inode


def test_the_last_listing_serves_while_the_api_is_down(project: Sandbox, mount: Mount) -> None:
    """Without the API, names, attributes and contents stay, and what changed appears when it is back."""
    with mount("--refresh", "0.2") as mounted:
        project.put("new", b"new")
        project.plan(faults=[{"on": "list", "action": {"type": "reset"}}])
        project.forget_requests()
        wait_until(lambda: mounted.names() and project.requests()["faults"] >= 1, "a refresh that fails")
        assert mounted.names() == set(SIZES)
        assert (mounted / "odd").read_bytes() == noise(131_073, 4)
        project.plan()
        wait_until(lambda: "new" in mounted.names(), "the new file")


def test_unchanged_content_stays_in_the_page_cache(project: Sandbox, mount: Mount) -> None:
    """A file that is opened and read again costs no request."""
    with mount() as mounted:
        first = (mounted / "large.bin").read_bytes()
        project.forget_requests()
        assert (mounted / "large.bin").read_bytes() == first
        assert project.requests()["object"] == 0


WRITES = [
    ["touch", "new"],
    ["rm", "-f", "one"],
    ["mv", "one", "two"],
    ["mkdir", "folder"],
    ["chmod", "600", "one"],
    ["truncate", "-s", "0", "one"],
    ["ln", "one", "two"],
    ["sh", "-c", "echo >> one"],
]


def test_writes_are_refused(project: Sandbox, mount: Mount) -> None:
    """Every write fails with EROFS and changes nothing."""
    before = {name: sha256(project.folder / name) for name in SIZES}
    with mount() as mounted:
        for command in WRITES:
            done = run(*command, check=False, cwd=mounted.path)
            assert done.returncode != 0, command
            assert "Read-only file system" in done.stderr, command
            assert mounted.names() == set(SIZES), command
            assert {name: sha256(project.folder / name) for name in SIZES} == before, command


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.by_program), signal.SIGINT]
)
def test_a_signal_unmounts(project: Sandbox, mount: Mount, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process and leave no mount, and mounting again works at once."""
    for _ in range(2):
        with mount() as mounted:
            mounted.kill(number)
            assert str(mounted.path) not in mounts()


@pytest.mark.by_program
def test_a_mount_that_was_killed_is_recovered(project: Sandbox, mount: Mount) -> None:
    """After kill -9 the next empirical-mount takes the dead mount away and mounts."""
    with mount() as mounted:
        mounted.kill(signal.SIGKILL)
        # The first call after the end may still be told that the connection was aborted just now.
        gone = f"{os.strerror(errno.ENOTCONN)}|{os.strerror(errno.ECONNABORTED)}"
        with pytest.raises(OSError, match=gone):
            mounted.names()
        with mount() as again:
            assert again.names() == set(SIZES)


def test_the_key_stays_secret(project: Sandbox, tmp_path: Path) -> None:
    """Neither /proc nor the log shows the key, and the store never sees it."""
    with mounted_by_program(tmp_path / "mnt", project.url, "-vv") as mounted:
        (mounted / "large.bin").read_bytes()
        shown = [Path(f"/proc/{mounted.pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
        assert not any(b"sandbox-key" in text for text in shown)
        assert "sandbox-key" not in mounted.log.read_text()
        assert "X-Amz-Signature" not in mounted.log.read_text()
        log = project.requests()["log"]
        assert not any(entry["authorization"] for entry in log if entry["kind"] == "object")
        limits = Path(f"/proc/{mounted.pid}/limits").read_text()
        assert re.search("Max core file size +[01] +[01] ", limits), "no core dump may hold the key"


@pytest.mark.parametrize(
    ("arguments", "key", "phrase", "status"),
    [
        ([], None, "no API key", 1),
        ([], "wrong", "refused the key", 1),
        (["--api-url", "http://127.0.0.1:1", "--timeout", "1"], "k", "cannot reach the API", 1),
        (["--api-url", "http://api.example"], "k", "--api-url", 2),
    ],
)
def test_what_is_wrong_is_one_line(  # noqa: PLR0913, PLR0917 - what is given, and what comes of it
    project: Sandbox, tmp_path: Path, arguments: list[str], key: str | None, phrase: str, status: int
) -> None:
    """Whatever is wrong before the mount is said in one line; nothing is mounted and nothing left."""
    path = tmp_path / "mnt"
    variables = environment(EMPIRICALRUN_KEY=key, EMPIRICAL_API_URL=project.url)
    done = empirical_mount(*arguments, path, check=False, env=variables)
    assert done.returncode == status
    assert phrase in said(done)
    assert not path.exists()
    assert not processes(path)


def test_a_thousand_resources(sandbox: Sandbox, mount: Mount) -> None:
    """A thousand resources are listed, each once; test_listing.py has more of them."""
    count = 1_000
    names = {f"file-{number:05}.txt" for number in range(count)}
    for name in names:
        (sandbox.folder / name).write_text(name)
    with mount() as mounted:
        assert mounted.names() == names
        assert len(run("ls", "-l", mounted.path).stdout.splitlines()) == count + 1
