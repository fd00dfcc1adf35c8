"""libfuse's structures and the table of its low-level operations, for ctypes (fuse_lowlevel.h).

They describe libfuse 2.9 and 3.0 to 3.17. A test compares them with the headers.
"""

import ctypes
from collections.abc import Mapping
from platform import machine
from typing import Any

from empirical_fs.macos import IS_MACOS

REQUEST = POINTER = SESSION = ctypes.c_void_p
NUMBER = ctypes.c_uint64
NAME = ctypes.c_char_p

_FILE_INFO_SIZE = 64
"""Bytes of `struct fuse_file_info` in libfuse 3.17; earlier versions have 40."""
BACKING_ID_AT = 36
"""The offset in it of `backing_id`, of 4 bytes; earlier versions and the Python bindings do not know it."""

_STAT_SIZES = {"x86_64": 144, "aarch64": 128}
"""Bytes of `struct stat` (bits/struct_stat.h of glibc); a Python binding may describe fewer."""


class Arguments(ctypes.Structure):
    """`struct fuse_args` in fuse_opt.h."""

    _fields_ = (
        ("argc", ctypes.c_int),
        ("argv", ctypes.POINTER(ctypes.c_char_p)),
        ("allocated", ctypes.c_int),
    )


class Context(ctypes.Structure):
    """The beginning of `struct fuse_ctx`: the user, group and thread that sent the request."""

    _fields_ = (("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32), ("pid", ctypes.c_int32))


class Forget(ctypes.Structure):
    """`struct fuse_forget_data`."""

    _fields_ = (("number", ctypes.c_uint64), ("lookups", ctypes.c_uint64))


class Piece(ctypes.Structure):
    """`struct iovec` in readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Connection2(ctypes.Structure):
    """`struct fuse_conn_info` of libfuse 2, which fusepy does not describe."""

    _fields_ = tuple(
        (name, ctypes.c_uint)
        for name in (
            *("proto_major", "proto_minor", "async_read", "max_write", "max_readahead", "capable", "want"),
            *("max_background", "congestion_threshold"),
        )
    )


_FILE = (REQUEST, NUMBER, POINTER)
_RANGE = (REQUEST, NUMBER, ctypes.c_size_t, ctypes.c_int64, POINTER)
_TWO_NAMES = (REQUEST, NUMBER, NAME, NUMBER, NAME)

SIGNATURES: Mapping[str, tuple[Any, ...]] = {
    "init": (POINTER, POINTER),
    "lookup": (REQUEST, NUMBER, NAME),
    "forget": (REQUEST, NUMBER, ctypes.c_uint64),
    "getattr": _FILE,
    "setattr": (REQUEST, NUMBER, POINTER, ctypes.c_int, POINTER),
    "mknod": (REQUEST, NUMBER, NAME, ctypes.c_uint32, ctypes.c_uint64),
    "mkdir": (REQUEST, NUMBER, NAME, ctypes.c_uint32),
    "unlink": (REQUEST, NUMBER, NAME),
    "rmdir": (REQUEST, NUMBER, NAME),
    "symlink": (REQUEST, NAME, NUMBER, NAME),
    "rename": _TWO_NAMES,
    "link": (REQUEST, NUMBER, NUMBER, NAME),
    "open": _FILE,
    "read": _RANGE,
    "write": (REQUEST, NUMBER, POINTER, ctypes.c_size_t, ctypes.c_int64, POINTER),
    "flush": _FILE,
    "release": _FILE,
    "fsync": (REQUEST, NUMBER, ctypes.c_int, POINTER),
    "opendir": _FILE,
    "readdir": _RANGE,
    "releasedir": _FILE,
    "statfs": (REQUEST, NUMBER),
    "setxattr": (REQUEST, NUMBER, NAME, POINTER, ctypes.c_size_t, ctypes.c_int),
    "getxattr": (REQUEST, NUMBER, NAME, ctypes.c_size_t, *([ctypes.c_uint32] if IS_MACOS else [])),
    "listxattr": (REQUEST, NUMBER, ctypes.c_size_t),
    "removexattr": (REQUEST, NUMBER, NAME),
    "create": (REQUEST, NUMBER, NAME, ctypes.c_uint32, POINTER),
    "ioctl": (
        *(REQUEST, NUMBER, ctypes.c_uint, POINTER, POINTER, ctypes.c_uint),
        *(POINTER, ctypes.c_size_t, ctypes.c_size_t),
    ),
    "forget_multi": (REQUEST, ctypes.c_size_t, ctypes.POINTER(Forget)),
    "fallocate": (REQUEST, NUMBER, ctypes.c_int, ctypes.c_int64, ctypes.c_int64, POINTER),
    "readdirplus": _RANGE,
}
"""The argument types of the operations that we implement; all return nothing."""

TABLE_2 = (
    *("init", "destroy", "lookup", "forget", "getattr", "setattr", "readlink", "mknod", "mkdir", "unlink"),
    *("rmdir", "symlink", "rename", "link", "open", "read", "write", "flush", "release", "fsync", "opendir"),
    *("readdir", "releasedir", "fsyncdir", "statfs", "setxattr", "getxattr", "listxattr", "removexattr"),
    *("access", "create", "getlk", "setlk", "bmap", "ioctl", "poll", "write_buf", "retrieve_reply"),
    *("forget_multi", "flock", "fallocate"),
)
"""`struct fuse_lowlevel_ops` of libfuse 2.9."""
TABLE_3 = (*TABLE_2, "readdirplus", "copy_file_range", "lseek")
"""That of libfuse 3; libfuse is given the size of our table, which may be shorter than its own."""

INTERRUPTED = ctypes.CFUNCTYPE(None, REQUEST, POINTER)
"""`fuse_interrupt_func_t`."""


def entry_type(stat: Any) -> Any:
    """`struct fuse_entry_param` with the system's `struct stat`, whose end fusepy does not describe."""

    class Entry(ctypes.Structure):
        _fields_ = (
            ("number", ctypes.c_uint64),
            ("generation", ctypes.c_uint64),
            ("attributes", stat),
            ("_reserved", ctypes.c_char * max(_STAT_SIZES.get(machine(), 0) - ctypes.sizeof(stat), 0)),
            ("attribute_seconds", ctypes.c_double),
            ("entry_seconds", ctypes.c_double),
        )

    return Entry


def file_info_type(described: Any) -> Any:
    """`struct fuse_file_info`, which is longer in libfuse 3.17 than the Python bindings describe."""

    class FileInfo(described):  # type: ignore[misc]
        _fields_ = (("_reserved", ctypes.c_char * max(_FILE_INFO_SIZE - ctypes.sizeof(described), 0)),)

    return FileInfo


def operations_type(table: tuple[str, ...], types: Mapping[str, Any]) -> Any:
    """`struct fuse_lowlevel_ops` with the fields of `table`, whose types are `types` or plain pointers."""

    class Operations(ctypes.Structure):
        _fields_ = tuple((name, types.get(name, POINTER)) for name in table)

    return Operations
