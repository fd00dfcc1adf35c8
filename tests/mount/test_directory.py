"""Going through the directory, on either libfuse: in one pass, back and forth, and while it changes."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import partial
from pathlib import Path

import pytest

from tests.support.harness import Mounted, Sandbox, mounted, run, wait_until

FILES = 1000
FEW = 30
"""Much fewer than there are files."""

LIBRARIES = [
    pytest.param(number, marks=pytest.mark.skipif(find_library(name) is None, reason=f"no lib{name}"))
    for number, name in (("2", "fuse"), ("3", "fuse3"))
]


class _Entry(ctypes.Structure):
    """`struct dirent` of Linux (readdir(3))."""

    _fields_ = (
        ("d_ino", ctypes.c_uint64),
        ("d_off", ctypes.c_int64),
        ("d_reclen", ctypes.c_ushort),
        ("d_type", ctypes.c_ubyte),
        ("d_name", ctypes.c_char * 256),
    )


class Stream:
    """A directory stream of the C library, for Python has no seekdir."""

    def __init__(self, path: Path) -> None:
        self._c = ctypes.CDLL(None, use_errno=True)
        self._c.opendir.restype = ctypes.c_void_p
        self._c.readdir.restype = ctypes.POINTER(_Entry)
        self._c.telldir.restype = ctypes.c_long
        self._path = path
        self._stream = ctypes.c_void_p(self._c.opendir(os.fsencode(path)))
        assert self._stream

    def read(self, most: int = 10**9) -> list[tuple[str, int]]:
        """Names, each with where it was found; every file is looked at, as `ls -l` does."""
        found: list[tuple[str, int]] = []
        while len(found) < most:
            place = self._c.telldir(self._stream)
            entry = self._c.readdir(self._stream)
            if not entry:
                break
            found.append((os.fsdecode(entry.contents.d_name), place))
            (self._path / found[-1][0]).lstat()
        return found

    def seek(self, place: int) -> None:
        self._c.seekdir(self._stream, ctypes.c_long(place))

    def close(self) -> None:
        assert self._c.closedir(self._stream) == 0


@contextmanager
def stream(path: Path) -> Iterator[Stream]:
    opened = Stream(path)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def mount_of(sandbox: Sandbox, path: Path, number: str, *options: str) -> Iterator[Mounted]:
    for each in range(FILES):
        sandbox.put(f"file-{each:04}", b"x" * each)
    with mounted(path, sandbox.url, *options, variables={"EMPIRICAL_FS_LIBFUSE": number}) as mount:
        yield mount


def lookups(mount: Mounted) -> int:
    """How often the kernel has asked for the attributes of a file."""
    return len(re.findall(r"(?:lookup|getattr) '/file", mount.log.read_text()))


@pytest.mark.parametrize("number", LIBRARIES)
def test_a_long_listing(sandbox: Sandbox, tmp_path: Path, number: str) -> None:
    """`ls -l` shows every size; with libfuse 3 in one pass; again, it asks for none of them."""
    with mount_of(sandbox, tmp_path / "mnt", number, "-vv") as mount:
        for _ in range(2):
            shown = run("ls", "-ln", mount.path).stdout
            assert re.findall(r" (\d+) [A-Z].* (file-.*)", shown) == [
                (str(size), f"file-{size:04}") for size in range(FILES)
            ]
        asked = lookups(mount)
        assert asked == FILES if number == "2" else asked < FEW


@pytest.mark.parametrize("number", LIBRARIES)
def test_what_a_pass_has_shown_opens(sandbox: Sandbox, tmp_path: Path, number: str) -> None:
    """What the kernel was told with the listing is opened and read as that."""
    with mount_of(sandbox, tmp_path / "mnt", number) as mount:
        with os.scandir(mount.path) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
        assert sizes == {f"file-{size:04}": size for size in range(FILES)}
        for size in range(0, FILES, FILES // 10):
            assert (mount / f"file-{size:04}").read_bytes() == b"x" * size


@pytest.mark.parametrize("number", LIBRARIES)
def test_back_and_forth(sandbox: Sandbox, tmp_path: Path, number: str) -> None:
    """A place in a listing leads to the same name, also when the listing has been read to its end."""
    with mount_of(sandbox, tmp_path / "mnt", number) as mount, stream(mount.path) as listing:
        everything = listing.read()
        assert len({name for name, _ in everything}) == len(everything) == FILES + 2
        for at in (1, FILES // 2, 2, FILES + 1, 0):
            listing.seek(everything[at][1])
            assert listing.read() == everything[at:]


def has_size(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


@pytest.mark.parametrize("number", LIBRARIES)
def test_a_change_in_the_midst_of_a_listing(sandbox: Sandbox, tmp_path: Path, number: str) -> None:
    """Each file is still listed once, and a file that changed shows it, whether it had been listed or not."""
    with (
        mount_of(sandbox, tmp_path / "mnt", number, "--refresh", "0.2") as mount,
        stream(mount.path) as listing,
    ):
        names = [name for name, _ in listing.read(FILES // 2)]
        changed = ("file-0001", f"file-{FILES - 1}")
        for name in changed:
            sandbox.put(name, b"another")
        sandbox.put("file-0000 and a half", b"")
        for name in changed:
            # The server may list the folder just as a file is replaced, and miss it.
            wait_until(partial(has_size, mount / name, 7), f"the new {name}")
        names += [name for name, _ in listing.read()]
        assert len(names) == len(set(names)) == FILES + 2
        assert {(mount / name).stat().st_size for name in changed} == {7}
        assert {(mount / name).read_bytes() for name in changed} == {b"another"}
