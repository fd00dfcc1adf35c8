"""Whatever is read through fsspec, in whatever way, is what the resource holds."""

import errno
import gzip
import io
import resource
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import fsspec
import pytest
from fsspec.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fsspec.conftest import OpenFs
from tests.support.harness import Sandbox, noise

KIB, MIB = 2**10, 2**20
SIZE = 3 * MIB + 12_345
CONTENT = noise(SIZE)
TEXT = "".join(f"line {number}, with ümläute\n" for number in range(3_000))
OFFSET = st.integers(-SIZE - 10, SIZE + 10) | st.none()
CACHES = ["none", "readahead", "blockcache", "bytes", "mmap", "first", "all", "background"]


@pytest.fixture(scope="module")
def of_all(shared: Sandbox) -> Any:
    shared.put("data.bin", CONTENT)
    shared.put("text.txt", TEXT.encode())
    shared.put("empty", b"")
    shared.put("folded.txt.gz", gzip.compress(TEXT.encode()))
    for number in range(40):
        shared.put(f"small{number}.bin", noise(1000 + number, number))
    return fsspec.filesystem("empirical", api_url=shared.url)


@settings(max_examples=40, deadline=None)
@given(start=OFFSET, stop=OFFSET)
def test_a_slice_of_a_file_is_that_of_its_bytes(of_all: Any, start: int | None, stop: int | None) -> None:
    assert of_all.cat_file("data.bin", start, stop) == CONTENT[start:stop]


@pytest.mark.parametrize("cache_type", [None, *CACHES])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the `mmap` of fsspec leaves one
@pytest.mark.filterwarnings("ignore:.*rb\\+:pytest.PytestUnraisableExceptionWarning")
def test_reads_anywhere_give_what_a_local_file_gives(of_all: Any, cache_type: str | None) -> None:
    local, random = io.BytesIO(CONTENT), Random(1)
    with of_all.open("data.bin", block_size=256 * KIB, cache_type=cache_type) as file:
        for _ in range(40):
            where, size = random.randrange(SIZE + 10), random.choice([0, 1, 10, 8 * KIB, 200 * KIB, -1])
            if random.random() < 0.5:
                file.seek(where)
                local.seek(where)
            assert (file.read(size), file.tell()) == (local.read(size), local.tell())
        buffer = bytearray(1000)
        assert file.seek(-10, 2) == SIZE - 10
        assert file.readinto(buffer) == 10
        assert bytes(buffer[:10]) == CONTENT[-10:]
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_text_is_read_by_lines(of_all: Any) -> None:
    lines = TEXT.splitlines(keepends=True)
    assert list(of_all.open("text.txt", "r", encoding="utf-8")) == lines
    assert list(of_all.open("text.txt", "rb")) == [line.encode() for line in lines]
    with of_all.open("text.txt", "rt", encoding="utf-8", newline="") as file:
        assert file.readline() == lines[0]
    assert of_all.open("folded.txt.gz", "rt", encoding="utf-8", compression="infer").read() == TEXT
    assert of_all.read_text("empty") == ""
    assert of_all.head("text.txt", 6) == b"line 0"


def test_reads_in_sequence_cost_no_request_each(of_all: Any, shared: Sandbox) -> None:
    shared.forget_requests()
    with of_all.open("data.bin") as file:
        while file.read(1000):
            pass
    spans = shared.spans()
    assert len(spans) < 16
    assert sum(stop - start for start, stop in spans) == SIZE


def test_a_range_costs_its_bytes(of_all: Any, shared: Sandbox) -> None:
    shared.forget_requests()
    assert of_all.cat_file("data.bin", 1000, 3000) == CONTENT[1000:3000]
    with of_all.open("data.bin") as file:
        file.seek(-100, 2)
        assert file.read(8) == CONTENT[-100:-92]
    assert shared.spans() == [(1000, 3000), (SIZE - 100, SIZE - 92)]


def test_many_ranges_are_read_file_by_file(of_all: Any, shared: Sandbox) -> None:
    paths = [f"small{number % 40}.bin" for number in range(400)]
    starts = [number % 900 for number in range(400)]
    ends = [start + 50 for start in starts]
    shared.forget_requests()
    found = of_all.cat_ranges(paths, starts, ends)
    assert found == [noise(1000 + n % 40, n % 40)[start : start + 50] for n, start in enumerate(starts)]
    assert len(shared.spans()) == 40  # what is near goes by one request
    far = of_all.cat_ranges(["data.bin"] * 3, [0, MIB, -10], [10, MIB + 10, None])
    assert far == [CONTENT[:10], CONTENT[MIB : MIB + 10], CONTENT[-10:]]
    assert of_all.cat_ranges(["data.bin", "empty"], 0, None) == [CONTENT, b""]


def test_a_large_read_after_a_seek_takes_few_requests(of_all: Any, shared: Sandbox) -> None:
    """As those of Dask, which reads a block of a file by one call."""
    with of_all.open("data.bin") as file:
        file.seek(MIB + 123)
        shared.forget_requests()
        assert file.read(3 * MIB) == CONTENT[MIB + 123 : 4 * MIB + 123]
    assert len(shared.spans()) <= 6


def test_each_range_has_its_own_error(of_all: Any) -> None:
    found = of_all.cat_ranges(["small1.bin", "none", "small2.bin"], 0, 5)
    assert (found[0], found[2]) == (noise(1001, 1)[:5], noise(1002, 2)[:5])
    assert isinstance(found[1], FileNotFoundError)
    assert found[1].filename == "none"
    with pytest.raises(FileNotFoundError):
        of_all.cat_ranges(["small1.bin", "none"], 0, 5, on_error="raise")
    with pytest.raises(TypeError):
        of_all.cat_ranges("small1.bin", 0, 5)
    with pytest.raises(ValueError, match="length"):
        of_all.cat_ranges(["small1.bin"], [0, 1], 5)


def test_several_files_are_read_at_once(of_all: Any) -> None:
    expected = {f"small{number}.bin": noise(1000 + number, number) for number in (10, 11, 12)}
    assert of_all.cat(list(expected)) == of_all.cat("small1[012].bin") == expected
    assert of_all.cat([*expected, "none"], on_error="omit") == expected
    assert isinstance(of_all.cat(["none"], on_error="return")["none"], FileNotFoundError)
    assert len(of_all.cat("", recursive=True)) == 44
    with pytest.raises(FileNotFoundError):
        of_all.cat("none")


class Told(Callback):
    """Remembers what it was told, with that of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Told] = []

    def branched(self, path_1: str, path_2: str, **_: Any) -> "Told":
        del path_1, path_2
        self.children.append(Told())
        return self.children[-1]


def test_copies_are_told_to_a_callback(of_all: Any, tmp_path: Path) -> None:
    told = Told()
    of_all.get("small*.bin", f"{tmp_path}/", callback=told)
    copies = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert copies == {f"small{number}.bin": noise(1000 + number, number) for number in range(40)}
    assert (told.size, told.value) == (40, 40)
    assert all(each.size == each.value > 999 for each in told.children)
    assert len(told.children) == 40
    alone = Told()
    of_all.get_file("data.bin", tmp_path / "new" / "data.bin", callback=alone)
    assert (tmp_path / "new" / "data.bin").read_bytes() == CONTENT
    assert alone.value == alone.size == SIZE
    target = io.BytesIO()
    of_all.get_file("text.txt", target)
    assert target.getvalue() == TEXT.encode()


def test_a_failed_copy_leaves_no_half_of_a_file(sandbox: Sandbox, fs: OpenFs, tmp_path: Path) -> None:
    sandbox.put("data.bin", CONTENT)
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "kept").write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        fs().get_file("none", folder / "kept")
    with pytest.raises(FileNotFoundError):
        fs().get_file("none", folder / "new" / "none")
    assert (folder / "kept").read_bytes() == b"old"
    sandbox.plan(faults=[{"on": "object", "skip": 1, "action": {"type": "status", "status": 404}}])
    with pytest.raises(OSError, match="replaced or deleted") as caught:
        fs().get_file("data.bin", folder / "half")
    assert [path.name for path in folder.iterdir()] == ["kept"]
    with pytest.raises(OSError, match="replaced or deleted"):
        fs().get_file("data.bin", folder / "kept")
    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert (folder / "kept").read_bytes() == b"old"
    assert "Signature" not in str(caught.value)


def test_a_copy_goes_where_it_would_have_gone(of_all: Any, tmp_path: Path) -> None:
    """A link stays a link, a file keeps its mode, and what is no file is written to."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o604)
    (tmp_path / "link").symlink_to("file")
    of_all.get_file("small1.bin", tmp_path / "link")
    assert (tmp_path / "link").readlink() == Path("file")
    assert (tmp_path / "file").read_bytes() == noise(1001, 1)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o604
    of_all.get_file("small1.bin", "/dev/null")
    assert not Path("/dev/null").is_file()
    of_all.get_file("small1.bin", tmp_path / ("n" * 255))
    assert {path.name for path in tmp_path.iterdir()} == {"file", "link", "n" * 255}


def test_a_full_disk_leaves_the_local_files_as_they_were(of_all: Any, tmp_path: Path) -> None:
    """Whether a file is small, and read together with others, or not."""
    names = ["data.bin", "small1.bin", "small2.bin"]
    for name in names:
        (tmp_path / name).write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        for name in names:
            with pytest.raises(OSError, match="File too large"):
                of_all.get(name, str(tmp_path / name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"old")


def test_lines_are_those_of_a_local_file(of_all: Any) -> None:
    local = io.BytesIO(TEXT.encode())
    with of_all.open("text.txt") as file:
        for size in (0, 1, 5, 50, 100_000, -1, None):
            assert file.readline(size) == local.readline(size)
            assert file.tell() == local.tell()
        assert file.readlines(100) == local.readlines(100)
        assert file.readlines() == local.readlines()
        assert file.readlines() == []
        assert file.readline(5) == b""
    with of_all.open("small1.bin") as file:
        assert file.readlines() == io.BytesIO(noise(1001, 1)).readlines()
    with of_all.open("data.bin") as file:
        assert b"".join(iter(partial(file.readline, 20_000), b"")) == CONTENT


def test_a_replaced_file_is_never_mixed(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("data.bin", CONTENT)
    one = fs()
    with one.open("data.bin") as file:
        assert file.read(10) == CONTENT[:10]
        sandbox.put("data.bin", noise(SIZE, 2))
        file.seek(2 * MIB)
        with pytest.raises(OSError, match="replaced") as caught:
            file.read(MIB)
        assert caught.value.errno == errno.ESTALE
    assert one.cat("data.bin") == noise(SIZE, 2)
    sandbox.put("data.bin", noise(100, 3))
    assert one.cat("data.bin") == noise(100, 3)  # nothing of the old one was given, so the new one is read


NEW = noise(2 * MIB, 4)
FRESH_READS: dict[str, Callable[[Any], object]] = {
    "read": lambda fs: fs.open("data.bin").read(),
    "small reads": lambda fs: b"".join(iter(partial(fs.open("data.bin").read, 100_000), b"")),
    "readinto": lambda fs: io.BufferedReader(fs.open("data.bin"), 2**16).read(),
    "lines": lambda fs: b"".join(fs.open("data.bin")),
    "a cache of fsspec": lambda fs: fs.open("data.bin", cache_type="readahead").read(),
    "seek": lambda fs: (file := fs.open("data.bin")).seek(1) and NEW[:1] + file.read(),
    "head and tail": lambda fs: fs.head("data.bin", MIB) + fs.tail("data.bin", MIB),
}


@pytest.mark.parametrize("read", FRESH_READS.values(), ids=FRESH_READS.keys())
def test_a_file_that_is_opened_after_its_replacement_is_the_new_one(
    sandbox: Sandbox, fs: OpenFs, read: Callable[[Any], object]
) -> None:
    sandbox.put("data.bin", CONTENT)
    one = fs()
    assert one.cat_file("data.bin") == CONTENT
    sandbox.put("data.bin", NEW)
    assert read(one) == NEW


@pytest.mark.parametrize(
    "look", [lambda file: file.seek(0, 2), lambda file: file.size, lambda file: file.info()["size"]]
)
def test_who_has_seen_the_size_reads_that_version_only(
    sandbox: Sandbox, fs: OpenFs, look: Callable[[Any], int]
) -> None:
    sandbox.put("data.bin", CONTENT)
    one = fs()
    with one.open("data.bin") as file:
        assert look(file) == SIZE
        sandbox.put("data.bin", NEW)
        file.seek(0)
        with pytest.raises(OSError, match="replaced") as caught:
            file.read(10)
        assert caught.value.errno == errno.ESTALE
