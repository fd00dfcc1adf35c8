"""System calls as functions: each raises OSError, or returns what every local file system would tell."""

import ctypes
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Call = Callable[[bytes], object]
"""A call on a path."""

C = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, AT_EACCESS = -100, 0x200
_IN_ALL = 0xFFF
GETFLAGS, GETVERSION, FIONREAD = 0x80086601, 0x80087601, 0x541B
KEEP_SIZE, PUNCH_HOLE = 1, 2
NOREPLACE, EXCHANGE = 1, 2
MUCH = 20_000


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


@contextmanager
def opened(path: bytes, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def by_descriptor(work: Callable[[int], object], flags: int = os.O_RDONLY) -> Call:
    """The call `work` by a descriptor of the path."""

    def call(path: bytes) -> object:
        with opened(path, flags) as descriptor:
            return work(descriptor)

    return call


def opening(flags: int, path: bytes) -> object:
    with opened(path, flags) as descriptor:
        return fcntl.fcntl(descriptor, fcntl.F_GETFL)


def told(status: os.stat_result) -> object:
    # How large a directory is, and in blocks how large a file, is each file system's own affair.
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return oct(status.st_mode), size, status.st_nlink, status.st_uid, status.st_gid, status.st_mtime_ns


def listed(path: bytes) -> object:
    with os.scandir(path) as entries:
        return sorted((os.fsdecode(each.name), each.is_file(follow_symlinks=False)) for each in entries)


def faccessat(mode: int, flags: int, path: bytes) -> object:
    return checked(C.faccessat(_AT_FDCWD, path, mode, flags))


def enter(path: bytes) -> object:
    with opened(b".") as back:
        os.chdir(path)
        os.chdir(back)
    return None


def watch(path: bytes) -> object:
    watcher = checked(C.inotify_init())
    try:
        return checked(C.inotify_add_watch(watcher, path, _IN_ALL))
    finally:
        os.close(watcher)


def renamed(flags: int, path: bytes) -> object:
    return checked(C.renameat2(_AT_FDCWD, b"file.txt", _AT_FDCWD, path, flags))


def mapped(length: int, flags: int, protection: int, descriptor: int) -> object:
    with mmap.mmap(descriptor, length, flags, protection) as view:
        return view[:].hex()


def into_memory(copy: Callable[[int, int], int], descriptor: int) -> object:
    target = os.memfd_create("target")
    try:
        return copy(target, descriptor), os.pread(target, MUCH, 0).hex()
    finally:
        os.close(target)


def seek(offset: int, whence: int, descriptor: int) -> object:
    # Where a directory ends is each file system's own affair.
    place = os.lseek(descriptor, offset, whence)
    return place if stat.S_ISREG(os.fstat(descriptor).st_mode) or whence == os.SEEK_SET else None


def lock(command: int, kind: int, descriptor: int) -> object:
    asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, command, asked))[0]


def ioctl(command: int, descriptor: int) -> object:
    fcntl.ioctl(descriptor, command, bytearray(8))
    return None


def fallocate(mode: int, descriptor: int) -> object:
    C.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return checked(C.fallocate(descriptor, mode, 0, 4096))
