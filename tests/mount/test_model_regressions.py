"""What the model test found, as the shortest sequences that show it.

By itself libfuse 2 has one inode for each path, whatever the path means by now: one size, by which sendfile
ends, and one page cache, which sendfile and private mappings use even where a handle has direct_io.
"""

import errno
import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, noise, opened, wait_until

pytestmark = pytest.mark.both_libraries

SIZE = 300_000
OLD, NEW, SMALL = noise(SIZE, 1), noise(SIZE, 2), b"small"
Read = Callable[[int], bytes]


def pread(descriptor: int) -> bytes:
    """All of it: a call that comes upon an error gives what it had, and the next one the error."""
    content = b""
    while piece := os.pread(descriptor, SIZE, len(content)):
        content += piece
    return content


def mapped(descriptor: int) -> bytes:
    with mmap.mmap(descriptor, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ) as view:
        return view[:]


def sendfile(descriptor: int, done: int = 0) -> bytes:
    """What sendfile gives from an offset on, as shutil.copyfile and file servers use it."""
    target = os.memfd_create("copy")
    try:
        begun = done
        while count := os.sendfile(target, descriptor, done, SIZE):
            done += count
        return os.pread(target, done - begun, 0)
    finally:
        os.close(target)


def is_right(read: Read, descriptor: int, expected: bytes) -> bool:
    """Whether a read gives the right bytes, or ESTALE."""
    try:
        return read(descriptor) == expected
    except OSError as error:
        return error.errno == errno.ESTALE


@pytest.fixture(params=["replaced", "renamed"])
def supersede(request: pytest.FixtureRequest, sandbox: Sandbox) -> Callable[[Path, bytes], None]:
    """Has `a.bin` mean a new content: its own, or that of another file of the same name."""
    is_renamed: bool = request.param == "renamed"
    sandbox.put("1/a.bin", OLD)

    def supersede(path: Path, content: bytes) -> None:
        before = path.stat().st_mtime_ns
        if is_renamed:
            sandbox.put("2/a.bin", content)
            sandbox.patch(1, name="b.bin")
        else:
            sandbox.put("1/a.bin", content)
        wait_until(lambda: path.stat().st_mtime_ns != before, "the new content")

    return supersede


Supersede = Callable[[Path, bytes], None]


@pytest.mark.may_warn("read /a.bin: the (file changed since|object has another ETag)")
def test_sendfile_of_a_file_whose_name_is_a_smaller_one_by_now(mount: Mount, supersede: Supersede) -> None:
    """Sendfile by a handle on an old file gives all bytes of it, or ESTALE, whatever its name is now."""
    with mount("--refresh", "0.1") as mounted, opened(mounted / "a.bin") as older:
        assert os.pread(older, 4096, 0) == OLD[:4096]
        supersede(mounted / "a.bin", SMALL)
        assert is_right(lambda descriptor: sendfile(descriptor, 100_000), older, OLD[100_000:])


@pytest.mark.parametrize("read", [sendfile, mapped], ids=["sendfile", "a private mapping"])
@pytest.mark.may_warn(
    "read /a.bin: the (file changed since|object (has another ETag|changed while others read it))"
)
def test_a_newer_file_beside_a_handle_on_an_older_one(mount: Mount, supersede: Supersede, read: Read) -> None:
    """However the new file is read, it leaves no bytes to an older handle, nor finds those of the old."""
    with mount("--refresh", "0.1") as mounted, opened(mounted / "a.bin") as older:
        assert os.pread(older, 4096, 0) == OLD[:4096]
        supersede(mounted / "a.bin", NEW)
        with opened(mounted / "a.bin") as newer:
            assert is_right(pread, older, OLD)
            assert is_right(read, newer, NEW), "the new file has bytes of the old one"
            assert is_right(pread, older, OLD), "the old file has bytes of the new one"
