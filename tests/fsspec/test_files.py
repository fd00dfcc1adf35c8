"""`empirical://` shows the files of a mount under the same names, and nobody can write to them."""

import errno
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.generic import rsync

from tests.fsspec.conftest import OpenFs
from tests.support.harness import Sandbox, noise

NAMES = [
    "plain.txt",
    "a b.txt",
    "a#b?c=d&e.txt",
    "100%.txt",
    "%41.txt",
    "übergröße \U0001f9ea.txt",
    ".hidden",
    "[x]*.txt",
]


@pytest.fixture(scope="module")
def of_all(shared: Sandbox) -> Any:
    named = {}
    for number, name in enumerate([*NAMES, "in/a/folder.txt", "plain.txt"]):
        shared.put(f"file{number}", name.encode())
        named[f"file{number}"] = {"name": name}
    shared.override(named)
    return fsspec.filesystem("empirical", api_url=shared.url)


def test_every_name_of_a_mount_can_be_listed_and_opened(of_all: Any) -> None:
    names = of_all.ls("", detail=False)
    assert {*NAMES, "in_a_folder.txt"} < set(names)
    assert len(names) == len(set(names)) == len(NAMES) + 2
    for name in NAMES:
        assert of_all.info(f"empirical://{name}") == of_all.info(name)
        with of_all.open(of_all.unstrip_protocol(name)) as file:
            assert file.read() == name.encode()
    assert of_all.cat("in_a_folder.txt") == b"in/a/folder.txt"


def test_a_url_is_opened_by_its_name_alone(of_all: Any) -> None:
    options = of_all.storage_options
    with fsspec.open("empirical://a#b?c=d&e.txt", "r", **options) as file:
        assert file.read() == "a#b?c=d&e.txt"
    assert [file.path for file in fsspec.open_files("empirical://a*.txt", **options)] == [
        "a b.txt",
        "a#b?c=d&e.txt",
    ]


def test_an_entry_tells_what_the_api_tells(of_all: Any, shared: Sandbox) -> None:
    listed = next(each for each in shared.listing() if each["name"] == "a b.txt")
    info = of_all.info("a b.txt")
    assert (info["name"], info["size"], info["type"], info["id"]) == ("a b.txt", 7, "file", listed["id"])
    assert of_all.modified("a b.txt") == datetime.fromisoformat(listed["updated_at"])
    assert of_all.created("a b.txt") == datetime.fromisoformat(listed["created_at"])
    assert of_all.modified("a b.txt").tzinfo is UTC
    assert of_all.size("a b.txt") == 7
    assert of_all.exists("a b.txt")
    assert of_all.isfile("a b.txt")
    assert of_all.ls("a b.txt") == [info]
    assert of_all.find("a b.txt") == ["a b.txt"]
    assert of_all.isdir("")
    assert of_all.info("empirical://")["type"] == "directory"
    assert of_all.exists("")
    assert of_all.du("") == sum(each["size"] for each in of_all.ls(""))


def test_patterns_find_what_a_shell_finds(of_all: Any) -> None:
    assert of_all.glob("empirical://*b*.txt") == ["a b.txt", "a#b?c=d&e.txt", "übergröße \U0001f9ea.txt"]
    assert of_all.glob("a?b.txt") == ["a b.txt"]
    assert of_all.glob("nothing*") == []
    assert set(of_all.glob("**")) == set(of_all.find(""))
    assert of_all.glob("[[]x]*") == ["[x]*.txt"]
    assert [names for _, _, names in of_all.walk("")] == [of_all.ls("", detail=False)]


def test_what_is_not_there_is_not_found(of_all: Any) -> None:
    for ask in (
        of_all.info,
        of_all.ls,
        of_all.open,
        of_all.cat_file,
        of_all.modified,
        of_all.ukey,
        of_all.size,
    ):
        for name in ("none.txt", "plain.txt/x", "folder/plain.txt"):
            with pytest.raises(FileNotFoundError) as caught:
                ask(name)
            assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, name)
    assert not of_all.exists("none.txt")
    assert not of_all.isfile("none.txt")
    assert of_all.find("none") == []
    for read in (of_all.open, of_all.cat_file):
        with pytest.raises(IsADirectoryError):
            read("empirical://")


@pytest.mark.parametrize("root", ["empirical:///", "empirical://"])
def test_rsync_copies_into_the_directory(of_all: Any, tmp_path: Path, root: str) -> None:
    options = {"default_method": "options", "storage_options": {"empirical": of_all.storage_options}}
    (tmp_path / "x").mkdir()
    rsync(root, f"file://{tmp_path}/x/", inst_kwargs=options)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert {path.name for path in (tmp_path / "x").iterdir()} == set(of_all.ls("", detail=False))
    assert rsync(root, f"file://{tmp_path}/x", inst_kwargs=options) == {}


def test_a_refused_key_is_not_taken_for_an_empty_folder(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("a.bin", b"a")
    sandbox.plan(faults=[{"on": "list", "action": {"type": "status", "status": 401}}])
    one = fs()
    asks: list[Callable[[], object]] = [
        lambda: one.isfile("a.bin"),
        lambda: one.isdir("a.bin"),
        lambda: one.exists("a.bin"),
        lambda: one.find(""),
        lambda: one.glob("*"),
        lambda: one.du(""),
        lambda: list(one.walk("")),
    ]
    for ask in asks:
        with pytest.raises(PermissionError):
            ask()


def write_modes() -> list[Callable[[Any], object]]:
    return [
        *(lambda fs, mode=mode: fs.open("plain.txt", mode) for mode in ("wb", "w", "ab", "xb", "r+b")),
        lambda fs: fs.pipe("new", b""),
        lambda fs: fs.pipe_file("plain.txt", b""),
        lambda fs: fs.touch("new"),
        lambda fs: fs.touch("plain.txt", truncate=False),
        lambda fs: fs.rm("plain.txt"),
        lambda fs: fs.rm_file("plain.txt"),
        lambda fs: fs.mv("plain.txt", "new"),
        lambda fs: fs.cp_file("plain.txt", "new"),
        lambda fs: fs.copy("plain.txt", "new"),
        lambda fs: fs.put(__file__, "new"),
        lambda fs: fs.put_file(__file__, "new"),
        lambda fs: fs.mkdir("new"),
        lambda fs: fs.makedirs("new", exist_ok=True),
        lambda fs: fs.rmdir("new"),
    ]


def test_every_write_is_refused(of_all: Any) -> None:
    for write in write_modes():
        with pytest.raises(OSError, match="Read-only file system") as caught:
            write(of_all)
        assert caught.value.errno == errno.EROFS


def test_a_mode_that_does_not_exist_is_no_write(of_all: Any) -> None:
    for mode in ("q", "", "rw", "rr", "b"):
        with pytest.raises(ValueError, match="mode"):
            of_all.open("plain.txt", mode)
    assert of_all.open("plain.txt", "br").read() == b"plain.txt"


def test_a_version_has_one_key_that_moves_with_the_content_only(sandbox: Sandbox, fs: OpenFs) -> None:
    sandbox.put("a.bin", noise(100))
    one = fs(refresh=0)
    ukey, checksum, fsid = one.ukey("a.bin"), one.checksum("a.bin"), one.fsid
    one.invalidate_cache()
    assert (one.ukey("a.bin"), one.checksum("a.bin"), one.fsid) == (ukey, checksum, fsid)
    assert fs().fsid == fsid
    sandbox.put("a.bin", noise(100, 1))
    assert one.ukey("a.bin") != ukey
    assert one.checksum("a.bin") != checksum
    assert one.fsid == fsid
