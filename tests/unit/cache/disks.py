"""Disks for the tests of the cache: one that fails where it is told to, one whose calls can be replayed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from hashlib import shake_128
from pathlib import Path

from empirical_fs.cache.bounds import Limits, Space
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.keys import Identity, ResourceKey
from empirical_fs.cache.record import BLOCK, count_blocks
from empirical_fs.cache.store import Store, System
from empirical_fs.cache.writer import Runtime

KEY = ResourceKey("https://api.example", "project", 7)
PLENTY = Limits(2**30)
LONG_AGO = 10**9
"""A modification time, in seconds, that is long past."""


class Inline:
    """Does the work in the thread that asks for it."""

    def __init__(self, _name: str, work: Callable[[], object]) -> None:
        self._work = work
        self._is_busy = False

    def ask(self) -> bool:
        if not self._is_busy:
            self._is_busy = True
            try:
                self._work()
            finally:
                self._is_busy = False
        return True


class Clock:
    """Stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def opened(
    folder: Path, limits: Limits = PLENTY, io: Io | None = None, clock: Clock | None = None
) -> Iterator[Store]:
    """A store that writes at once."""
    store = Store(folder, limits, system=System(io or Io(), Runtime(Inline, clock or Clock(), 0)))
    store.start()
    try:
        yield store
    finally:
        store.close()


def content(size: int, seed: object = 0) -> bytes:
    return shake_128(repr(seed).encode()).digest(size)


def blocks_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    for block in range(count_blocks(len(data))):
        yield block, data[block * BLOCK : (block + 1) * BLOCK]


def identity_of(data: bytes, etag: str | None = '"one"', updated_ns: int = 1) -> Identity:
    return Identity(len(data), etag, updated_ns)


def version(store: Store, data: bytes, etag: str | None = '"one"', key: ResourceKey = KEY) -> Cached:
    return store.version(key, identity_of(data, etag), {"etag": etag})


def keep_all(cached: Cached, data: bytes) -> None:
    for block, piece in blocks_of(data):
        assert cached.keep(block, piece)


def fill(store: Store, data: bytes, etag: str | None = '"one"', key: ResourceKey = KEY) -> None:
    """Keep all blocks of a version, and close it."""
    cached = version(store, data, etag, key)
    keep_all(cached, data)
    cached.close()


def read(cached: Cached, start: int, stop: int) -> bytes:
    buffer = bytearray(b"\xee" * (stop - start))
    count = cached.read_into(start, memoryview(buffer))
    assert bytes(buffer[count:]) == b"\xee" * (len(buffer) - count) or count < len(buffer)
    return bytes(buffer[:count])


def check(cached: Cached, data: bytes) -> list[bool]:
    """Read every block: right bytes or a miss. Returns for each block whether it was there."""
    found = []
    for block, piece in blocks_of(data):
        got = read(cached, block * BLOCK, block * BLOCK + len(piece))
        assert got == piece[: len(got)]
        found.append(len(got) == len(piece))
    return found


def usage_of(folder: Path) -> int:
    """The bytes that the files below a folder take on the disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def age(folder: Path) -> None:
    """Make all records look as if they had not been used for long."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".record"):
                with suppress(FileNotFoundError):
                    os.utime(Path(parent) / name, (LONG_AGO, LONG_AGO))


class FailingIo(Io):
    """Fails the call of that number, and counts all. The error may go on from there."""

    def __init__(self, number: int | None = None, error: int = 0, *, goes_on: bool = False) -> None:
        self.calls = 0
        self._number = number
        self._error = error
        self._goes_on = goes_on

    def _count(self) -> None:
        number, self.calls = self.calls, self.calls + 1
        if self._number is not None and (number == self._number or (self._goes_on and number > self._number)):
            raise OSError(self._error, os.strerror(self._error))

    def open(self, path: Path, *, writable: bool = True) -> int:
        self._count()
        return super().open(path, writable=writable)

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def read(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        self._count()
        return super().read(descriptor, buffers, offset)

    def write(self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        self._count()
        return super().write(descriptor, buffers, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def touch(self, descriptor: int) -> None:
        self._count()
        super().touch(descriptor)

    def status_of(self, descriptor: int) -> os.stat_result:
        self._count()
        return super().status_of(descriptor)

    def status(self, path: Path) -> os.stat_result:
        self._count()
        return super().status(path)

    def make_folder(self, path: Path) -> None:
        self._count()
        super().make_folder(path)

    def remove_folder(self, path: Path) -> None:
        self._count()
        super().remove_folder(path)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def link(self, path: Path, name: Path) -> None:
        self._count()
        super().link(path, name)

    def rename(self, path: Path, name: Path) -> None:
        self._count()
        super().rename(path, name)

    def names(self, path: Path) -> list[str]:
        self._count()
        return super().names(path)

    def files(self, path: Path | str) -> list[tuple[str, os.stat_result]]:
        self._count()
        return super().files(path)

    def space(self, path: Path) -> Space:
        self._count()
        return super().space(path)


class HalfIo(Io):
    """Writes at most half of what it is given at once, as a disk that gets full does."""

    def write(self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        data = b"".join(buffers)
        return super().write(descriptor, [data[: max(len(data) // 2, 4096)]], offset)


class Fate(Enum):
    """What became of bytes that were written and never synced, when the power failed."""

    WRITTEN = 0
    LOST = 1
    ZEROED = 2
    TORN = 3
    GARBAGE = 4


@dataclass(frozen=True)
class Call:
    """A system call that changes the disk. `file` is a number for each file that was created."""

    name: str
    file: int = -1
    path: str = ""
    other: str = ""
    offset: int = 0
    data: bytes = b""


class RecordingIo(Io):
    """Keeps all calls that change the disk."""

    def __init__(self, top: Path) -> None:
        self.calls: list[Call] = []
        self._top = top
        self._file_of: dict[int, int] = {}
        self._files = 0

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._top))

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._file_of[super().status_of(descriptor).st_ino] = self._files
        self.calls.append(Call("create", self._files, self._name(path)))
        self._files += 1
        return descriptor

    def write(self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        count = super().write(descriptor, buffers, offset)
        self.calls.append(
            Call("write", self._number(descriptor), offset=offset, data=b"".join(buffers)[:count])
        )
        return count

    def truncate(self, descriptor: int, size: int) -> None:
        super().truncate(descriptor, size)
        self.calls.append(Call("truncate", self._number(descriptor), offset=size))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.calls.append(Call("mkdir", path=self._name(path)))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self.calls.append(Call("rmdir", path=self._name(path)))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self.calls.append(Call("unlink", path=self._name(path)))

    def link(self, path: Path, name: Path) -> None:
        super().link(path, name)
        self.calls.append(Call("link", path=self._name(path), other=self._name(name)))

    def _number(self, descriptor: int) -> int:
        return self._file_of[super().status_of(descriptor).st_ino]


def replay(calls: Sequence[Call], top: Path, fate_of: Mapping[int, Fate]) -> None:
    """Do recorded calls again in an empty folder; `fate_of` has what becomes of writes, by their places."""
    top.mkdir(0o700, parents=True)
    files: dict[int, int] = {}
    try:
        for number, call in enumerate(calls):
            path = top / call.path
            fate = fate_of.get(number, Fate.WRITTEN)
            match call.name:
                case "create":
                    files[call.file] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                case "write":
                    _write(files[call.file], call, fate)
                case "truncate":
                    if fate is Fate.WRITTEN:
                        os.ftruncate(files[call.file], call.offset)
                case "mkdir":
                    path.mkdir(0o700)
                case "rmdir":
                    path.rmdir()
                case "unlink":
                    path.unlink()
                case "link":
                    (top / call.other).hardlink_to(path)
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def _write(descriptor: int, call: Call, fate: Fate) -> None:
    half = len(call.data) // 2
    match fate:
        case Fate.WRITTEN:
            os.pwrite(descriptor, call.data, call.offset)
        case Fate.LOST:
            pass
        case Fate.ZEROED:
            os.pwrite(descriptor, bytes(len(call.data)), call.offset)
        case Fate.TORN:
            os.pwrite(descriptor, call.data[half:], call.offset + half)
        case Fate.GARBAGE:
            os.pwrite(descriptor, content(len(call.data), call.offset), call.offset)
