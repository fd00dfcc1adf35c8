"""Whatever is read through a mount, in whatever way, is what the source holds, and costs no more than it."""

import errno
import hashlib
import mmap
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Mount
from tests.support.harness import Mounted, Sandbox, environment, mounted, noise, run, serving

KIB, MIB = 2**10, 2**20
BIG = 20 * MIB
SIZES = [0, 1, 4095, 4096, 4097, 131_071, 131_072, 131_073, MIB + 1, BIG]
SHARED_SIZE = 3 * MIB + 12_345


class Shared:
    """A mount for many tests, of files whose content is known."""

    def __init__(self, sandbox: Sandbox, mounted: Mounted, contents: dict[str, bytes]) -> None:
        self.sandbox = sandbox
        self.mounted = mounted
        self.contents = contents


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    place = tmp_path_factory.mktemp("reading")
    contents = {f"{size}.bin": noise(size, size) for size in SIZES}
    contents["odd.bin"] = noise(SHARED_SIZE)
    contents["with spaces, \u00fcml\u00e4ute \U0001f9ea.bin"] = noise(10_000, 7)
    with serving(place / "project", place / "url") as sandbox:
        for name, content in contents.items():
            sandbox.put(name, content)
        with mounted(place / "mnt", sandbox.url) as running:
            yield Shared(sandbox, running, contents)
            assert running.log_lines() == []  # it is no test's own, so no marker announces anything


def uncached(path: Path) -> int:
    """A descriptor on `path`, of which the kernel holds no page and reads none ahead."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    return descriptor


@pytest.fixture
def big(sandbox: Sandbox) -> bytes:
    """The content of `big.bin`, the only file of the project."""
    content = noise(BIG)
    sandbox.put("big.bin", content)
    return content


def test_every_file_is_what_was_uploaded(shared: Shared) -> None:
    """`sha256sum` of every file, from empty to 20 MiB, is that of the source."""
    names = sorted(shared.contents)
    lines = run("sha256sum", *(shared.mounted / name for name in names)).stdout.splitlines()
    digests = [line.split()[0].removeprefix("\\") for line in lines]
    assert digests == [hashlib.sha256(shared.contents[name]).hexdigest() for name in names]


@settings(max_examples=100, deadline=None, database=None)
@given(
    reads=st.lists(
        st.tuples(st.integers(0, SHARED_SIZE + 10_000), st.integers(0, 400_000)), min_size=1, max_size=8
    ),
    drop=st.booleans(),
    advice=st.sampled_from([os.POSIX_FADV_NORMAL, os.POSIX_FADV_RANDOM, os.POSIX_FADV_SEQUENTIAL]),
)
def test_reads_anywhere(shared: Shared, reads: list[tuple[int, int]], drop: bool, advice: int) -> None:  # noqa: FBT001 - hypothesis names it
    """Reads of any length at any offset, in any order, give the same bytes as slices of the source."""
    content = shared.contents["odd.bin"]
    descriptor = os.open(shared.mounted / "odd.bin", os.O_RDONLY)
    try:
        if drop:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(descriptor, 0, 0, advice)
        for offset, size in reads:
            assert os.pread(descriptor, size, offset) == content[offset : offset + size]
    finally:
        os.close(descriptor)


PREADS = """
import os, random, sys
path, source, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance, size = random.Random(seed), os.path.getsize(source)
mounted, truth = os.open(path, os.O_RDONLY), os.open(source, os.O_RDONLY)
for turn in range(60):
    if turn % 10 == 0:
        os.posix_fadvise(mounted, 0, 0, os.POSIX_FADV_DONTNEED)
    offset, length = chance.randrange(size), chance.choice([1, 100, 4096, 65536, 300000])
    assert os.pread(mounted, length, offset) == os.pread(truth, length, offset), (offset, length)
"""


def test_eight_processes_read_one_file_at_random(shared: Shared) -> None:
    """Eight processes that read one large file at random places each get the source's bytes."""
    name = f"{BIG}.bin"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PREADS, shared.mounted / name, shared.sandbox.folder / name, str(seed)],
            env=environment(),
        )
        for seed in range(8)
    ]
    assert [worker.wait(60) for worker in workers] == [0] * 8


@pytest.mark.parametrize(
    ("block", "skip", "count"), [(1, 4095, 3), (4097, 3, 50), (100_003, 7, 30), (999_983, 2, 9)]
)
def test_dd_with_odd_blocks(shared: Shared, tmp_path: Path, block: int, skip: int, count: int) -> None:
    """`dd` with block sizes that fit no page copies exactly the bytes that it was asked for."""
    name = f"{BIG}.bin" if block * (skip + count) > SHARED_SIZE else "odd.bin"
    copy = tmp_path / "copy"
    run("dd", f"if={shared.mounted / name}", f"of={copy}", f"bs={block}", f"skip={skip}", f"count={count}")
    assert copy.read_bytes() == shared.contents[name][block * skip : block * (skip + count)]


@pytest.mark.parametrize("size", [1, 5000, 200_000])
def test_tail(shared: Shared, size: int) -> None:
    """`tail -c` gives the last bytes."""
    done = subprocess.run(
        ["tail", "-c", str(size), shared.mounted / "odd.bin"], capture_output=True, check=True, timeout=60
    )
    assert done.stdout == shared.contents["odd.bin"][-size:]


def test_cmp_finds_no_difference(shared: Shared) -> None:
    """`cmp` reads a file and its source side by side and finds them equal."""
    run("cmp", shared.mounted / "odd.bin", shared.sandbox.folder / "odd.bin")


def test_mmap(shared: Shared) -> None:
    """A file that is mapped into memory shows the source's bytes, its end included."""
    content = shared.contents["odd.bin"]
    with (shared.mounted / "odd.bin").open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert len(mapped) == len(content)
            for offset in random.Random(1).sample(range(len(content)), 50):
                assert mapped[offset : offset + 5000] == content[offset : offset + 5000]
            assert mapped[-1:] == content[-1:]
            assert mapped.find(content[-20:]) == len(content) - 20


def test_two_handles_on_one_file(shared: Shared) -> None:
    """Handles on one file keep their own places, and closing one does not disturb the other."""
    content = shared.contents[f"{BIG}.bin"]
    with (shared.mounted / f"{BIG}.bin").open("rb", buffering=0) as first:
        os.posix_fadvise(first.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with (shared.mounted / f"{BIG}.bin").open("rb", buffering=0) as second:
            second.seek(10 * MIB)
            for turn in range(40):
                at = turn * 70_000
                assert first.read(70_000) == content[at : at + 70_000]
                assert second.read(70_000) == content[10 * MIB + at : 10 * MIB + at + 70_000]
        rest = first.read()
        assert rest == content[40 * 70_000 : 40 * 70_000 + len(rest)]
        assert len(rest) == BIG - 40 * 70_000


def test_past_the_end_there_is_nothing(shared: Shared) -> None:
    """Reads at and past the end give no bytes, and one across the end those before it."""
    size = len(shared.contents["odd.bin"])
    descriptor = uncached(shared.mounted / "odd.bin")
    try:
        assert os.pread(descriptor, 4096, size - 10) == shared.contents["odd.bin"][-10:]
        for offset in (size, size + 1, size + 5 * MIB, 2**62):
            assert os.pread(descriptor, 4096, offset) == b""
    finally:
        os.close(descriptor)


def test_an_empty_file_is_asked_for_once(sandbox: Sandbox, mount: Mount) -> None:
    """Whether a file is empty that is listed so, the store is asked when it is opened first."""
    sandbox.put("empty.bin", b"")
    with mount() as mounted:
        assert (mounted / "empty.bin").stat().st_size == 0
        assert sandbox.requests()["object"] == 0
        for _ in range(3):
            assert (mounted / "empty.bin").read_bytes() == b""
        assert sandbox.requests()["object"] == 1


@pytest.mark.parametrize("block", ["4K", "128K", "1M", "30M"])
def test_a_sequential_read_fetches_each_byte_once(
    sandbox: Sandbox, mount: Mount, big: bytes, tmp_path: Path, block: str
) -> None:
    """A file that is read from its start to its end leaves the store once, whatever the block size."""
    with mount() as mounted:
        run("dd", f"if={mounted / 'big.bin'}", f"of={tmp_path / 'copy'}", f"bs={block}")
        assert (tmp_path / "copy").read_bytes() == big
        requests = sandbox.requests()
    assert requests["object_bytes"] <= BIG * 1.05
    assert len(requests["log"]) == requests["list"] + requests["object"]


def test_a_random_read_fetches_what_the_kernel_asked_for(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """4 KiB in the middle of a large file cost no more than the kernel's own read-ahead around them."""
    with mount() as mounted:
        for offset in (9 * MIB + 123, 17 * MIB, 3 * MIB + 4095, 13 * MIB):
            sandbox.forget_requests()
            with (mounted / "big.bin").open("rb", buffering=0) as file:
                assert os.pread(file.fileno(), 4 * KIB, offset) == big[offset : offset + 4 * KIB]
            assert sandbox.requests()["object_bytes"] <= 256 * KIB


def test_random_reads_without_kernel_read_ahead_fetch_their_pages_alone(
    sandbox: Sandbox, mount: Mount, big: bytes
) -> None:
    """Random reads on one handle, the kernel's read-ahead off, cost exactly the pages that they touch."""
    offsets = [11 * MIB, 2 * MIB, 19 * MIB, 7 * MIB, 15 * MIB]
    with mount() as mounted:
        descriptor = uncached(mounted / "big.bin")
        try:
            for offset in offsets:
                assert os.pread(descriptor, 4 * KIB, offset) == big[offset : offset + 4 * KIB]
        finally:
            os.close(descriptor)
        requests = sandbox.requests()
    assert requests["object_bytes"] == len(offsets) * 4 * KIB
    assert requests["object"] == len(offsets)


def test_reading_one_place_again_earns_no_read_ahead(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """One page that is read again and again, past the kernel's cache, is not a file that is read on."""
    with mount() as mounted:
        descriptor = uncached(mounted / "big.bin")
        try:
            for _ in range(4):
                assert os.pread(descriptor, 4 * KIB, 9 * MIB) == big[9 * MIB : 9 * MIB + 4 * KIB]
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        assert sandbox.requests()["object_bytes"] <= 4 * 4 * KIB


def test_the_beginning_of_a_large_file_is_cheap(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """What looks only at a file's first bytes does not download the file."""
    with mount() as mounted:
        with (mounted / "big.bin").open("rb", buffering=0) as file:
            assert file.read(16) == big[:16]
        assert sandbox.requests()["object_bytes"] <= MIB


def test_the_store_never_sees_the_key(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """No request to the store has an Authorization header or asks for compression, and each has a range."""
    with mount() as mounted:
        assert (mounted / "big.bin").read_bytes() == big
        objects = [each for each in sandbox.requests()["log"] if each["kind"] == "object"]
    assert objects
    for each in objects:
        assert not each["authorization"]
        assert each["accept_encoding"] == "identity"
        assert each["range"].startswith("bytes=")


def test_what_was_read_is_read_again_from_memory(sandbox: Sandbox, mount: Mount) -> None:
    """A file that was read and closed is read again out of the kernel's page cache, without a request."""
    content = noise(MIB)
    sandbox.put("a.bin", content)
    with mount() as mounted:
        assert (mounted / "a.bin").read_bytes() == content
        sandbox.forget_requests()
        assert (mounted / "a.bin").read_bytes() == content
        run("cmp", mounted / "a.bin", sandbox.folder / "a.bin")
        assert sandbox.requests()["object"] == 0


def test_nothing_is_written(shared: Shared) -> None:
    """Opening for writing is refused with EROFS, and the file is what it was."""
    path = shared.mounted / "4096.bin"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(OSError, match="Read-only") as caught:
            os.open(path, flags)
        assert caught.value.errno == errno.EROFS
    assert path.read_bytes() == shared.contents["4096.bin"]
