"""One inode is one version, on either libfuse: however it is found, and whoever opens it."""

import ctypes
import errno
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from empirical_fs.control.reloading import reload
from empirical_fs.work.progress import unseen
from tests.mount.test_directory import LIBRARIES
from tests.support.harness import PATIENCE, Sandbox, environment, mounted, noise, opened, run, wait_until

SIZE = 300_000
OLD_TIME = 1_600_000_000
OPENERS, ROUNDS = 6, 20
FILES, RELOADS = 100, 3
READERS, THREADS_MAX = 150, 32
AT_ONCE = 10.0
"""Seconds: far less than the reads wait for, and enough for a machine with other work."""
AT_FDCWD, HANDLE_MAX = -100, 128

ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root mounts by bind and opens file handles")
WALKER = """
import os, sys, time
while True:
    time.sleep(0.005)
    for entry in os.scandir(sys.argv[1]):
        try:
            entry.stat()
            open(entry.path, "rb").close()
        except OSError:
            pass
"""


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> dict[str, str | None]:
    return {"EMPIRICAL_FS_LIBFUSE": str(request.param)}


def version(number: int, size: int = SIZE) -> bytes:
    """A content of one byte value, which tells its version."""
    return bytes([65 + number % 26]) * size


def put(sandbox: Sandbox, name: str, number: int, size: int = SIZE) -> bytes:
    content = version(number, size)
    sandbox.put(name, content, OLD_TIME + number)
    return content


def shows(path: Path, number: int) -> bool:
    return path.stat().st_mtime == OLD_TIME + number


class FileHandle(ctypes.Structure):
    """`struct file_handle` (open_by_handle_at(2))."""

    _fields_ = (
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("f_handle", ctypes.c_ubyte * HANDLE_MAX),
    )


_C = ctypes.CDLL(None, use_errno=True)


def handle_of(path: Path) -> FileHandle:
    handle, mount = FileHandle(HANDLE_MAX), ctypes.c_int()
    failed = _C.name_to_handle_at(AT_FDCWD, os.fsencode(path), ctypes.byref(handle), ctypes.byref(mount), 0)
    assert not failed, os.strerror(ctypes.get_errno())
    return handle


@contextmanager
def opened_by(handle: FileHandle, mount: Path) -> Iterator[int]:
    """A descriptor of the file that a handle is of, in the file system at `mount`."""
    directory = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    try:
        descriptor = _C.open_by_handle_at(directory, ctypes.byref(handle), os.O_RDONLY)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def contents_by(handle: FileHandle, mount: Path) -> bytes:
    with opened_by(handle, mount) as descriptor:
        return b"".join(iter(lambda: os.read(descriptor, 2**20), b""))


def open_and_read(path: Path, together: threading.Barrier) -> bytes | int:
    """What one of several sees that open a file at the same moment; an errno for who cannot."""
    together.wait(PATIENCE)
    try:
        with path.open("rb", buffering=0) as file:
            return b"".join(iter(lambda: file.read(2**16), b""))
    except OSError as error:
        return error.errno or -1


@pytest.mark.may_warn("read /a: the (file changed since|object has another ETag)")
def test_several_open_what_has_just_changed(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """Who opens when a reader has learnt of a change, and the listing has not, has the new version, whole."""
    put(sandbox, "a", 0)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount,
        ThreadPoolExecutor(OPENERS) as pool,
    ):
        path, seen = mount / "a", Counter[bytes | int]()
        assert path.read_bytes() == version(0)
        for number in range(1, ROUNDS + 1):
            with opened(path) as descriptor:
                assert os.pread(descriptor, 1, 0) == version(number - 1, 1)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                new = put(sandbox, "a", number)
                with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                    os.pread(descriptor, 10, SIZE // 2)
                together = threading.Barrier(OPENERS)
                found = list(pool.map(lambda _: open_and_read(path, together), range(OPENERS)))  # noqa: B023
                wrong = [each if isinstance(each, int) else set(each) for each in found if each != new]
                assert wrong == []
                seen.update(found)
        assert sum(seen.values()) == ROUNDS * OPENERS


def test_what_a_reload_has_shown(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """After --reload every name is what the API lists, though others look at them all the time."""
    for number in range(FILES):
        put(sandbox, f"file-{number}", 0, 1)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount,
        ExitStack() as stack,
    ):
        for _ in range(2):
            walker = stack.enter_context(subprocess.Popen([sys.executable, "-c", WALKER, mount.path]))
            stack.callback(walker.kill)
        for turn in range(1, RELOADS + 1):
            for number in range(FILES):
                put(sandbox, f"file-{number}", turn, turn + number % 7)
            reload(mount.path, unseen)
            for number in range(FILES):
                stat = (mount / f"file-{number}").stat()
                assert (stat.st_size, stat.st_mtime) == (turn + number % 7, OLD_TIME + turn)


@ONLY_ROOT
@pytest.mark.warns("read /a: the (file changed since|object has another ETag)")
def test_a_file_that_is_mounted_elsewhere(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """A bind mount of one file goes along with its versions; while an old one is open, others are stale."""
    put(sandbox, "a", 0)
    bound = tmp_path / "bound"
    bound.touch()
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=library) as mount:
        run("mount", "--bind", mount / "a", bound)
        try:
            assert bound.read_bytes() == version(0)
            for number, size in ((1, SIZE), (2, SIZE // 3), (3, SIZE * 2)):
                put(sandbox, "a", number, size)
                wait_until(lambda number=number: shows(mount / "a", number), "the new version")  # type: ignore[misc]
                # The kernel, which keeps what it knows of the inode, is told right after names show it.
                wait_until(lambda number=number: shows(bound, number), "the new version there")  # type: ignore[misc]
                assert bound.stat().st_size == size
                assert bound.read_bytes() == (mount / "a").read_bytes() == version(number, size)
            with opened(bound) as descriptor:
                put(sandbox, "a", 4)
                wait_until(lambda: shows(mount / "a", 4), "the new version")
                with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                    bound.read_bytes()
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                    os.pread(descriptor, 10, 0)
            wait_until(lambda: _reads(bound, version(4)), "the new version, once nobody has the old one")
        finally:
            run("umount", bound)


def _reads(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return False


@ONLY_ROOT
def test_file_handles(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """A handle opens its file as long as that is listed, and no file of another mount."""
    for name in ("a", "b"):
        put(sandbox, name, 0)
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=library) as mount:
        handles = {name: handle_of(mount / name) for name in ("a", "b")}
        for handle in handles.values():
            assert contents_by(handle, mount.path) == version(0)
        Path("/proc/sys/vm/drop_caches").write_text("2\n")
        assert contents_by(handles["b"], mount.path) == version(0)
        new = put(sandbox, "a", 1, SIZE + 1)
        wait_until(lambda: shows(mount / "a", 1), "the new version")
        assert contents_by(handles["a"], mount.path) == new
        Path("/proc/sys/vm/drop_caches").write_text("2\n")
        assert contents_by(handles["a"], mount.path) == new
        (sandbox.folder / "b").unlink()
        wait_until(lambda: not (mount / "b").exists(), "the end of the other")
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            contents_by(handles["b"], mount.path)
    with mounted(tmp_path / "mnt", sandbox.url, variables=library) as mount:
        assert (mount / "a").read_bytes() == new
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            contents_by(handles["a"], mount.path)


def test_a_descriptor_that_only_names(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """An O_PATH descriptor stays good however often its file changes, and opens what that is by now."""
    put(sandbox, "a", 0)
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount:
        inode = (mount / "a").stat().st_ino
        descriptor = os.open(mount / "a", os.O_PATH)
        try:
            for number in range(1, 10):
                put(sandbox, "a", number, SIZE + number)
                reload(mount.path, unseen)
                assert os.fstat(descriptor).st_size == SIZE + number
                assert os.fstat(descriptor).st_ino == inode
                assert Path(f"/proc/self/fd/{descriptor}").read_bytes() == version(number, SIZE + number)
        finally:
            os.close(descriptor)


def test_places_in_the_directory(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """What telldir says belongs to a file, in another open too, and lseek takes any place."""
    for number in range(50):
        sandbox.put(f"file-{number:02}", b"")
    script = """if True:
        import ctypes, os, sys
        from tests.mount.test_directory import stream
        from pathlib import Path
        with stream(Path(sys.argv[1])) as first, stream(Path(sys.argv[1])) as second:
            everything = first.read()
            for name, place in everything[::-7]:
                second.seek(place)
                assert second.read(1) == [(name, place)], name
        descriptor = os.open(sys.argv[1], os.O_RDONLY)
        for place in (0, 3, everything[20][1], 2**40, 2**63 - 1):
            assert os.lseek(descriptor, place, os.SEEK_SET) == place
    """
    with mounted(tmp_path / "mnt", sandbox.url, variables=library) as mount:
        run(sys.executable, "-c", script, mount.path, cwd=Path(__file__).parents[2])


def test_readers_that_wait_hold_no_thread(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """Of 150 files that never come; others are served meanwhile, and killed readers end at once."""
    for number in range(READERS):
        sandbox.put(f"file-{number}", noise(10_000, number))
    sandbox.put("other", b"other")
    ids = [each["id"] for each in sandbox.listing() if each["name"] != "other"]
    stall = {"type": "stall", "after": 0, "seconds": 600}
    sandbox.plan(faults=[{"on": "object", "ids": ids, "action": stall}])
    with mounted(tmp_path / "mnt", sandbox.url, variables=library) as mount:
        readers = [
            subprocess.Popen(["cat", mount / f"file-{number}"], stderr=subprocess.DEVNULL, env=environment())
            for number in range(READERS)
        ]
        try:
            wait_until(lambda: all(map(_is_waiting, readers)), "all of them", 60)
            assert len(list(Path(f"/proc/{mount.pid}/task").iterdir())) < THREADS_MAX
            begun = time.monotonic()
            assert not (mount / "missing").exists()
            assert time.monotonic() - begun < AT_ONCE
        finally:
            begun = time.monotonic()
            for reader in readers:
                reader.kill()
            for reader in readers:
                reader.wait(PATIENCE)
        assert time.monotonic() - begun < 2 * AT_ONCE
        assert (mount / "other").read_bytes() == b"other"


def _is_waiting(reader: subprocess.Popen[bytes]) -> bool:
    """Whether a `cat` has opened its file and waits in the kernel, which waits for us."""
    state = Path(f"/proc/{reader.pid}/stat").read_text().rpartition(")")[2].split()[0]
    # Beyond so many requests the kernel reads no page ahead, but waits for an answer as for any other.
    return state in "DS" and Path(f"/proc/{reader.pid}/fd/3").is_symlink()


def test_details_are_those_of_the_listing(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """What changes beside the content shows in an open file too: its attributes are of the resource."""
    sandbox.put("a", b"a", OLD_TIME)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount,
        opened(mount / "a") as descriptor,
    ):
        sandbox.override({"a": {"description": "what it is", "mime_type": "text/x-new"}})
        reload(mount.path, unseen)
        for subject in (mount / "a", descriptor):
            assert os.getxattr(subject, "user.mime_type") == b"text/x-new"
            assert os.getxattr(subject, "user.xdg.comment") == b"what it is"
        assert os.pread(descriptor, 10, 0) == b"a"
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        assert name == mount / "a", "which looks deleted where the kernel had to drop it"
        (sandbox.folder / "a").unlink()
        reload(mount.path, unseen)
        assert os.getxattr(descriptor, "user.xdg.comment") == b"what it is"


def test_the_log_stays_clean(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """Opening, closing, forgetting and killed readers leave no line."""
    put(sandbox, "a", 0)
    with mounted(tmp_path / "mnt", sandbox.url, variables=library) as mount:
        for _ in range(3):
            assert (mount / "a").read_bytes() == version(0)
            if os.getuid() == 0:
                Path("/proc/sys/vm/drop_caches").write_text("2\n")
        assert not [line for line in mount.log_lines() if not re.search(" (INFO|DEBUG) ", line)]


@pytest.mark.warns(r"read /b: the (file changed since|object has \d+ bytes, the listing says \d+)")
def test_a_size_that_is_known_stays(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """An open file whose size nobody can find out again keeps it, and gives all of its bytes."""
    content = put(sandbox, "a", 0)
    sandbox.put("b", b"b")
    sandbox.override({"a": {"size_bytes": None}})
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount,
        opened(mount / "a") as descriptor,
        opened(mount / "b") as other,
    ):
        assert os.pread(descriptor, SIZE, 0) == content
        sandbox.put("b", b"another")
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            os.pread(other, 1, 0)
        sandbox.plan(faults=[{"on": "object", "action": {"type": "status", "status": 404}}])
        reload(mount.path, unseen)
        assert (mount / "a").stat().st_size == os.fstat(descriptor).st_size == SIZE
        assert os.pread(descriptor, SIZE, 0) == content
