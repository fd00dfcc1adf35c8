"""Every call that a program makes on a path, and what comes of it: run as one user in one directory.

    python -m tests.models.calls.table DIRECTORY UID FLAGS

prints, as JSON, the outcome of each call on each kind of path: `OK` with what it told, or the errno. FLAGS is
how many flags beside the way of access an `open` has at most. The directory holds what `FILES` has.
"""

# Paths are bytes here, which Path does not take.
# ruff: noqa: PTH101, PTH104, PTH116, PTH208, PTH211

import ctypes
import errno
import fcntl
import json
import mmap
import os
import stat
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from random import Random

from tests.models.calls.system_calls import (
    AT_EACCESS,
    EXCHANGE,
    FIONREAD,
    GETFLAGS,
    GETVERSION,
    KEEP_SIZE,
    MUCH,
    NOREPLACE,
    PUNCH_HOLE,
    C,
    Call,
    by_descriptor,
    checked,
    enter,
    faccessat,
    fallocate,
    into_memory,
    ioctl,
    listed,
    lock,
    mapped,
    opening,
    renamed,
    seek,
    told,
    watch,
)

LONGEST = b"n" * 255
FILES: dict[bytes, bytes] = {b"file.txt": Random(0).randbytes(10_000), b"empty": b"", LONGEST: b"long"}
KINDS: dict[str, bytes] = {
    "a file": b"file.txt",
    "an empty file": b"empty",
    "the root": b".",
    "the root twice": b"./.",
    "a missing name": b"missing",
    "a name in a file": b"file.txt/y",
    "a name in a missing one": b"missing/y",
    "a file with a slash": b"file.txt/",
    "a missing name with a slash": b"missing/",
    "a file and a dot": b"file.txt/.",
    "a file and two dots": b"file.txt/..",
    "a name of 255 bytes": LONGEST,
    "a missing name of 255 bytes": b"m" * 255,
    "a name of 256 bytes": b"m" * 256,
    "a name of 256 bytes with a slash": b"m" * 256 + b"/",
    "a name in one of 256 bytes": b"m" * 256 + b"/y",
    "a name of 1000 bytes": b"m" * 1000,
    "a name of 1000 bytes in characters": "é".encode() * 500,
    "a name of 1025 bytes": b"m" * 1025,
    "a name of 5000 bytes": b"m" * 5000,
    "a path of 4095 bytes": b"./" * 2043 + b"file.txt",
    "a path of more than 4096 bytes": b"./" * 2100 + b"file.txt",
    "a missing name that is not UTF-8": b"\xff\xfe",
    "no name": b"",
}

WAYS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
FLAGS = (
    *("O_APPEND", "O_CREAT", "O_EXCL", "O_TRUNC", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH", "O_NOATIME"),
    *("O_TMPFILE", "O_DIRECT", "O_SYNC", "O_NONBLOCK"),
)
XATTRS = (
    *("user.mime_type", "user.other", "security.other", "security.capability", "trusted.other"),
    *(
        "system.posix_acl_access",
        "system.posix_acl_default",
        "system.other",
        "other",
        "user.",
        "user." + "x" * 251,
    ),
)


def _named() -> dict[str, Call]:
    """Calls that take the path."""
    return {
        "stat": lambda path: told(os.stat(path)),
        "lstat": lambda path: told(os.lstat(path)),
        "statfs": lambda path: os.statvfs(path).f_namemax,
        "scandir": listed,
        "readlink": os.readlink,
        "chmod": lambda path: os.chmod(path, 0o600),
        "chown": lambda path: os.chown(path, 0, 0),
        "lchown": lambda path: os.lchown(path, -1, 5),
        "utime": os.utime,
        "utime to a time": lambda path: os.utime(path, (1, 1)),
        "truncate": lambda path: os.truncate(path, 0),
        "truncate to a larger size": lambda path: os.truncate(path, 10**6),
        "mkdir": os.mkdir,
        "rmdir": os.rmdir,
        "unlink": os.unlink,
        "rename": lambda path: os.rename(path, b"new"),
        "rename to itself": lambda path: os.rename(path, path),
        "rename to it": lambda path: os.rename(b"file.txt", path),
        "rename a missing one to it": lambda path: os.rename(b"missing too", path),
        "rename to it, if it is missing": partial(renamed, NOREPLACE),
        "exchange": partial(renamed, EXCHANGE),
        "link": lambda path: os.link(path, b"new"),
        "link to it": lambda path: os.link(b"file.txt", path),
        "symlink": lambda path: os.symlink(b"file.txt", path),
        "mknod": os.mknod,
        "mknod of a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        "mkfifo": os.mkfifo,
        "chdir": enter,
        "inotify": watch,
        **{
            f"access {mode}, flags {flags}": partial(faccessat, mode, flags)
            for mode, flags in product(range(8), (0, AT_EACCESS))
        },
    }


def _attributes() -> dict[str, Call]:
    calls: dict[str, Call] = {"listxattr": lambda path: sorted(os.listxattr(path))}
    for name in XATTRS:
        calls |= {
            f"getxattr {name:.25}": lambda path, name=name: os.getxattr(path, name).hex(),  # type: ignore[misc]
            f"setxattr {name:.25}": lambda path, name=name: os.setxattr(path, name, b"x"),  # type: ignore[misc]
            f"removexattr {name:.25}": lambda path, name=name: os.removexattr(path, name),  # type: ignore[misc]
        }
    return calls


def _opens(most: int) -> dict[str, Call]:
    """An open with every way of access and up to so many flags."""
    calls: dict[str, Call] = {}
    for count in range(most + 1):
        for way, more in product(WAYS, combinations(FLAGS, count)):
            flags = 0
            for each in (way, *more):
                flags |= getattr(os, each)
            calls["open " + "|".join((way, *more))] = partial(opening, flags)
    return calls


def _descriptors() -> dict[str, Call]:
    """Calls by a descriptor of the path."""
    shared, private = mmap.MAP_SHARED, mmap.MAP_PRIVATE
    both = mmap.PROT_READ | mmap.PROT_WRITE
    works: dict[str, Callable[[int], object]] = {
        "fstat": lambda opened: told(os.fstat(opened)),
        "pread": lambda opened: os.pread(opened, 100, 0).hex(),
        "pread all": lambda opened: os.pread(opened, MUCH, 0).hex(),
        "pread at the end": lambda opened: os.pread(opened, 100, 10_000).hex(),
        "pread before the end": lambda opened: os.pread(opened, 100, 9_990).hex(),
        "pread behind the end": lambda opened: os.pread(opened, 100, 10**12).hex(),
        "pread at the last place": lambda opened: os.pread(opened, 1, 2**63 - 2).hex(),
        "pread before the beginning": lambda opened: os.pread(opened, 100, -1).hex(),
        "pread nothing": lambda opened: os.pread(opened, 0, 0).hex(),
        "write": lambda opened: os.write(opened, b"x"),
        "ftruncate": lambda opened: os.ftruncate(opened, 0),
        "fchmod": lambda opened: os.fchmod(opened, 0o600),
        "fchown": lambda opened: os.fchown(opened, 0, 0),
        "futimens": os.utime,
        "fsync": os.fsync,
        "fdatasync": os.fdatasync,
        "fallocate": partial(fallocate, 0),
        "punch a hole": partial(fallocate, KEEP_SIZE | PUNCH_HOLE),
        "fadvise": lambda opened: os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_WILLNEED),
        "readahead": lambda opened: checked(C.readahead(opened, ctypes.c_int64(0), ctypes.c_size_t(4096))),
        "map": partial(mapped, 10_000, private, mmap.PROT_READ),
        "map to write a copy": partial(mapped, 10_000, private, both),
        "map shared": partial(mapped, 10_000, shared, mmap.PROT_READ),
        "map to write": partial(mapped, 10_000, shared, both),
        "sendfile": partial(into_memory, lambda target, opened: os.sendfile(target, opened, 0, MUCH)),
        "sendfile from behind the end": partial(
            into_memory, lambda target, opened: os.sendfile(target, opened, 20_000, 10)
        ),
        "copy_file_range": partial(
            into_memory, lambda target, opened: os.copy_file_range(opened, target, MUCH)
        ),
        "splice to itself": lambda opened: os.copy_file_range(opened, opened, 10),
        "flock shared": lambda opened: fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB),
        "flock": lambda opened: fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lease": lambda opened: fcntl.fcntl(opened, fcntl.F_GETLEASE),
        "getflags": partial(ioctl, GETFLAGS),
        "getversion": partial(ioctl, GETVERSION),
        "how much can be read": partial(ioctl, FIONREAD),
        "an unknown ioctl": partial(ioctl, 0x80087A99),
        "flistxattr": lambda opened: sorted(os.listxattr(opened)),
        "fgetxattr": lambda opened: os.getxattr(opened, "user.mime_type").hex(),
        "fsetxattr": lambda opened: os.setxattr(opened, "user.mime_type", b"x"),
        "fstatfs": lambda opened: os.fstatvfs(opened).f_namemax,
        "fscandir": lambda opened: sorted(os.listdir(opened)),
        **{
            f"lock {command} {kind}": partial(lock, getattr(fcntl, command), getattr(fcntl, kind))
            for command, kind in product(
                ("F_SETLK", "F_GETLK", "F_OFD_SETLK", "F_OFD_GETLK"), ("F_RDLCK", "F_WRLCK", "F_UNLCK")
            )
            if hasattr(fcntl, command) and not (command.endswith("GETLK") and kind == "F_UNLCK")
        },
        **{
            f"lseek {whence} {offset}": partial(seek, offset, getattr(os, whence))
            for whence, offset in product(
                ("SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"),
                (0, 1, 9_999, 10_000, 10_001, -1, 2**62),
            )
        },
    }
    named = (
        "fstat",
        "pread",
        "fchmod",
        "fchown",
        "fsync",
        "fgetxattr",
        "fstatfs",
        "flock",
        "getflags",
        "fscandir",
    )
    return {
        **{name: by_descriptor(work) for name, work in works.items()},
        **{f"{name} by O_PATH": by_descriptor(works[name], os.O_PATH) for name in named},
    }


def outcomes(most_flags: int) -> dict[str, str]:
    """What every call on every kind of path comes to, in the directory where this process is."""
    calls = {**_named(), **_attributes(), **_descriptors(), **_opens(most_flags)}
    return {
        f"{call} | {kind}": _outcome(work, path)
        for (call, work), (kind, path) in product(calls.items(), KINDS.items())
    }


def _outcome(work: Call, path: bytes) -> str:
    try:
        told = work(path)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except ValueError as error:
        return f"refused by Python: {error}"
    if isinstance(told, bytes):
        told = told.decode(errors="replace")
    return "OK" if told is None else f"OK {json.dumps(told)}"


def main() -> None:
    directory, user, most_flags = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # All paths are seen from here: an ordinary user may not look into the folders above.
    os.chdir(directory)
    if user != os.getuid():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    json.dump(outcomes(most_flags), sys.stdout)


if __name__ == "__main__":
    main()
