"""The cache on disk: what was read once is read from there, and never a wrong byte, whatever happens."""

import errno
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.cache_folder import data_files
from tests.support.harness import KEY, Mounted, Sandbox, mounted, noise, run, wait_until

KIB, MIB = 2**10, 2**20
SIZE = 3 * MIB + 12_345
LONG_AGO = time.time() - 10_000.0
RECENTLY = time.time() - 5_000.0
"""A version that the store may not have yet is not read from disk; these are old enough."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cached(mount: Mount, folder: Path) -> Mount:
    """As `mount`, with the cache."""

    def mount_it(*options: str | Path) -> AbstractContextManager[Mounted]:
        return mount("--cache-dir", folder, "--cache-min-free", "0", *options)

    return mount_it


def blocks_on_disk(folder: Path) -> int:
    """Bytes that the files of the cache take."""
    return sum(each.stat().st_blocks * 512 for each in data_files(folder))


def fetched(sandbox: Sandbox) -> int:
    """Bytes that the store has sent since this was asked last."""
    count = int(sandbox.requests()["object_bytes"])
    sandbox.forget_requests()
    return count


def read_in_pieces(path: Path, size: int, piece: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(piece), b""))[:size]


def kept(sandbox: Sandbox, cached: Mount, folder: Path, content: bytes) -> None:
    """Have a file in the cache as a whole."""
    sandbox.put("a.bin", content, LONG_AGO)
    with cached() as mount:
        assert (mount / "a.bin").read_bytes() == content
        wait_until(lambda: blocks_on_disk(folder) >= len(content), "all blocks on disk")
    sandbox.forget_requests()


def test_a_remount_reads_from_disk(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """After a remount nothing is fetched again, in whatever pieces a program reads.

    Each mount asks the store for one byte: whether it still has that version.
    """
    content = noise(SIZE)
    kept(sandbox, cached, folder, content)
    for piece in (4096, 100_000, MIB):
        with cached() as mount:
            assert read_in_pieces(mount / "a.bin", SIZE, piece) == content
    assert fetched(sandbox) <= 3


def test_random_reads_are_kept(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """What is read here and there is kept, in whole blocks, and no more than a few blocks are asked for."""
    content = noise(20 * MIB)
    sandbox.put("a.bin", content, LONG_AGO)
    offsets = [7 * MIB + 5000, 3 * MIB, 15 * MIB + 77, 11 * MIB + 65_530]
    for _ in range(2):
        with cached() as mount, (mount / "a.bin").open("rb", buffering=0) as file:
            for offset in offsets:
                assert os.pread(file.fileno(), 100, offset) == content[offset : offset + 100]
            wait_until(lambda: blocks_on_disk(folder) >= len(offsets) * 64 * KIB, "the blocks on disk")
        again = fetched(sandbox)
    assert again <= 1


def test_a_replaced_file_is_the_new_one(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """A version that was replaced while nothing was mounted is never read, even of the same size."""
    kept(sandbox, cached, folder, noise(SIZE))
    other = noise(SIZE, 1)
    sandbox.put("a.bin", other, RECENTLY)
    with cached() as mount:
        assert (mount / "a.bin").read_bytes() == other
    assert fetched(sandbox) >= SIZE


def test_another_date_or_name_of_the_same_bytes(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """A resource that was only renamed, and so has another date, is recognised by its ETag."""
    content = noise(SIZE)
    kept(sandbox, cached, folder, content)
    sandbox.override({"a.bin": {"name": "b.bin", "updated_at": "2026-01-02T03:04:05Z"}})
    with cached() as mount:
        assert (mount / "b.bin").read_bytes() == content
    # One byte tells the ETag.
    assert fetched(sandbox) <= 2
    with cached() as mount:
        assert (mount / "b.bin").read_bytes() == content
    assert fetched(sandbox) <= 1


def test_a_server_without_ranges(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """What it sends as a whole is kept as a whole, also if it is more than may wait for the disk."""
    content = noise(40 * MIB)
    sandbox.put("a.bin", content, LONG_AGO)
    sandbox.plan(ranges="ignored")
    with cached() as mount:
        assert (mount / "a.bin").read_bytes() == content
        wait_until(lambda: os.getxattr(mount / "a.bin", "user.empirical.cached") == b"100", "all on disk")
    assert blocks_on_disk(folder) >= len(content)


@pytest.mark.may_warn("read /a.bin: the (file|object) ")
def test_replaced_under_the_same_date(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """An object that was replaced while its size and date stay is shown soon, and by every later mount."""
    kept(sandbox, cached, folder, noise(SIZE))
    other = noise(SIZE, 1)
    # The sandbox tells the same date and size, and another ETag.
    sandbox.override({"a.bin": {"updated_at": sandbox.listing()[0]["updated_at"]}})
    sandbox.put("a.bin", other, RECENTLY)

    def is_new(file: Path) -> bool:
        try:
            return file.read_bytes() == other
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            return False

    with cached() as mount:
        wait_until(lambda: is_new(mount / "a.bin"), "the new content")
        wait_until(lambda: not data_files(folder) or blocks_on_disk(folder) >= SIZE, "it on disk")
    for _ in range(2):
        with cached() as mount:
            assert (mount / "a.bin").read_bytes() == other
    assert len(data_files(folder)) == 1


@pytest.mark.may_warn("in the cache is damaged; ", "the cache cannot ")
def test_damage(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """Flipped bits, zeros, a truncated file and a file of nothing are fetched again, and never given."""
    content = noise(SIZE)
    for harm in harms():
        kept(sandbox, cached, folder, content)
        for each in sorted(folder.rglob("*")):
            if each.suffix in {".data", ".record"}:
                spoilt = harm(each.read_bytes())
                with each.open("r+b") as file:
                    file.truncate(0)
                    file.write(spoilt)
        with cached() as mount:
            assert (mount / "a.bin").read_bytes() == content
            assert read_in_pieces(mount / "a.bin", SIZE, 5000) == content


def harms() -> Iterator[Callable[[bytes], bytes]]:
    yield lambda data: data[:-1] + bytes([data[-1] ^ 1])
    yield lambda data: bytes([data[0] ^ 0x80]) + data[1:]
    yield lambda data: bytes(len(data))
    yield lambda data: data[: len(data) // 2]
    yield lambda _: b""
    yield lambda data: data + data


def test_nothing_can_be_read_off_it(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """Folders are for the user alone; no name, URL or key is in a path, and no key or signature in a file."""
    sandbox.put("a secret name.bin", noise(SIZE), LONG_AGO)
    with cached() as mount:
        assert (mount / "a secret name.bin").stat().st_size == SIZE
        (mount / "a secret name.bin").read_bytes()
        wait_until(lambda: blocks_on_disk(folder) >= SIZE, "all blocks on disk")
    for each in [folder, *folder.rglob("*")]:
        wanted = 0o700 if each.is_dir() else 0o600
        assert stat.S_IMODE(each.stat().st_mode) == wanted, each
        assert "secret" not in str(each.relative_to(folder))
        if each.is_file() and each.suffix != ".data":
            written = each.read_bytes()
            assert KEY.encode() not in written
            assert b"Signature" not in written


def test_a_folder_of_others(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    """A folder that others can write to is refused in one line, and nothing is mounted."""
    sandbox.put("a.bin", b"a", LONG_AGO)
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with (
        pytest.raises(AssertionError, match=r"folder"),
        mounted(tmp_path / "mnt", sandbox.url, "--cache-dir", folder),
    ):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a tmpfs")
@pytest.mark.may_warn("cache")
def test_a_full_disk(sandbox: Sandbox, cached: Mount, folder: Path) -> None:
    """A disk without room for it delays and fails no reader."""
    content = noise(4 * MIB)
    sandbox.put("a.bin", content, LONG_AGO)
    folder.mkdir(mode=0o700)
    run("mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", folder)
    try:
        for _ in range(2):
            with cached() as mount:
                assert (mount / "a.bin").read_bytes() == content
    finally:
        run("umount", "-l", folder)


def test_kill_in_the_midst(sandbox: Sandbox, cached: Mount) -> None:
    """A mount that is killed while it writes leaves nothing behind that a later one would give."""
    contents = {f"{seed}.bin": noise(2 * MIB + seed, seed) for seed in range(6)}
    for name, content in contents.items():
        sandbox.put(name, content, LONG_AGO)

    def read(mount: Mounted, name: str) -> None:
        try:
            content = (mount / name).read_bytes()
        except OSError:
            return  # the mount was killed
        assert content == contents[name]

    for turn in range(5):
        with cached() as mount, ThreadPoolExecutor(len(contents)) as pool:
            reads = [pool.submit(read, mount, name) for name in contents]
            reads[turn].result()
            mount.kill(signal.SIGKILL)
            for each in reads:
                each.result()
    with cached() as mount:
        assert {name: (mount / name).read_bytes() for name in contents} == contents


def test_two_mounts_share_it(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    """Two mounts read and write one folder at once; what one has read, the other has on disk."""
    contents = {f"{seed}.bin": noise(MIB + seed, seed) for seed in range(6)}
    for name, content in contents.items():
        sandbox.put(name, content, LONG_AGO)
    with (
        mounted(tmp_path / "one", sandbox.url, "--cache-dir", folder, "--cache-min-free", "0") as one,
        mounted(tmp_path / "two", sandbox.url, "--cache-dir", folder, "--cache-min-free", "0") as two,
        ThreadPoolExecutor(12) as pool,
    ):
        for mount in (one, two):
            list(pool.map(lambda name, mount=mount: (mount / name).read_bytes(), contents))
            wait_until(lambda: blocks_on_disk(folder) >= 6 * MIB, "all blocks on disk")
            again = fetched(sandbox)
        assert {name: (two / name).read_bytes() for name in contents} == contents
    assert again < MIB
