"""The binding of libfuse 3, through mfusepy; to import it fails where that finds no libfuse."""

import ctypes
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import mfusepy

from empirical_fs import libfuse
from empirical_fs.errors import SetupError

MAJOR = int(mfusepy.fuse_version_major)
"""The version of the library that was loaded, whatever that is."""

_THREADS_LIMITED_SINCE = 12
_DEAF_SINCE = 17
_THREADS_MAX = 10_000
_GONE = {"nonempty", "big_writes", "large_read", "nopath"}
"""Options of libfuse 2 for what is always so with libfuse 3 (its ChangeLog.rst, 3.0.0)."""
_OF_THE_CONNECTION = {"max_background", "congestion_threshold", "max_readahead", "max_write"}
"""Options of libfuse 2 that libfuse 3 leaves to the file system (struct fuse_conn_info in fuse_common.h)."""
_ALSO_OF_THE_CONNECTION = {"max_read"}
"""Of these it wants to be told as well, and the same."""
_OF_THE_CONFIGURATION = {"use_ino", "readdir_ino", "hard_remove", "direct_io", "intr", "intr_signal"}
"""Options of libfuse 2 that mfusepy puts into the `struct fuse_config` of fuse.h, as they are given."""
_WANTED = 1 << 0 | 1 << 4 | 1 << 11 | 1 << 13 | 1 << 14
"""Capabilities that libfuse 2 has too, ASYNC_READ, EXPORT_SUPPORT and IOCTL_DIR, and READDIRPLUS with
READDIRPLUS_AUTO (FUSE_CAP_ in fuse_common.h).

Libfuse 3 asks for more, of which AUTO_INVAL_DATA would have the kernel ask for the attributes before each
read, and a direct read that waits could not be interrupted with ASYNC_DIO.
"""
_PLUS, _FILL_PLUS = 1 << 0, 1 << 1
"""FUSE_READDIR_PLUS, the kernel takes attributes, and FUSE_FILL_DIR_PLUS, an entry has them (fuse.h)."""
_LOW = 2**32 - 1
_NUMBER_MAX = 2**31 - 1


class _Buffer(ctypes.Structure):
    """`struct fuse_buf` in fuse_common.h, which grew at its end."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("mem", ctypes.c_char_p),
        ("fd", ctypes.c_int),
        ("pos", ctypes.c_int64),
        ("mem_size", ctypes.c_size_t),
    )


class _Session(libfuse.Session):
    def __init__(self) -> None:
        super().__init__(mfusepy)
        self.device = self._library.fuse_session_fd(self._session)

    def process(self, request: bytes) -> None:
        buffer = _Buffer(size=len(request), mem=request)
        self._library.fuse_session_process_buf(self._session, ctypes.byref(buffer))


class _Methods:
    """Operations as mfusepy takes them: it does not call the object itself, as fusepy does."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._run, name)
        return partial(self._run, name) if callable(value) else value


class _Fuse(libfuse.Callbacks, mfusepy.FUSE):  # type: ignore[misc]
    def __init__(self, run: Any, mountpoint: str, connection: Mapping[str, int], **options: Any) -> None:
        self._run = run
        self._connection = connection
        self._of_thread = threading.local()  # part of what Python knows of a thread
        super().__init__(_Methods(run), mountpoint, raw_fi=True, foreground=True, **options)

    def _wrapper(self, operation: libfuse.Run, *args: Any) -> Any:
        # ctypes would make what Python knows of a thread of libfuse and throw it away for each callback, with
        # memory that is mapped and unmapped and so interrupts every CPU. It is never released: the last
        # release would delete it (Python's C API, PyGILState_Release).
        if not hasattr(self._of_thread, "is_kept"):
            self._of_thread.is_kept = True
            ctypes.pythonapi.PyGILState_Ensure()
        return super()._wrapper(operation, *args)

    def init_fuse_3(self, connection: Any, config: Any) -> None:
        known = connection.contents
        for name, value in self._connection.items():
            setattr(known, name, value)
        known.want &= _WANTED
        if hasattr(known, "want_ext"):
            # Libfuse refuses to go on if only one of them was changed, or both in different ways.
            known.want_ext = known.want_ext & ~_LOW | known.want
        super().init_fuse_3(connection, config)

    def readdir_fuse_3(
        self, _path: None, buffer: Any, fill: Any, offset: int, file_info: Any, flags: int
    ) -> int:
        stat = mfusepy.c_stat()
        if not flags & _PLUS:
            for name in self._names(stat, file_info, offset):
                fill(buffer, name, stat, 0, 0)
            return 0
        answers = self._run("readdirplus", None, file_info.contents.fh, offset)
        for position, (name, attributes, is_told) in enumerate(answers, offset + 1):
            mfusepy.set_st_attrs(stat, attributes, use_ns=True)
            if fill(buffer, name.encode(), stat, position, _FILL_PLUS if is_told else 0):
                break
        return 0


def session() -> libfuse.Session:
    """That of the mount that this callback is of."""
    return _Session()


def mount(run: Any, mountpoint: str, options: Mapping[str, str | bool]) -> None:
    """As `Libfuse.mount`."""
    elsewhere = _GONE | _OF_THE_CONNECTION | _OF_THE_CONFIGURATION
    kept: dict[str, Any] = {name: value for name, value in options.items() if name not in elsewhere}
    # Of a thread that ends, what Python knows of it is left behind.
    kept = {"max_idle_threads": str(_THREADS_MAX), **kept}
    if mfusepy.fuse_version_minor >= _THREADS_LIMITED_SINCE:
        # Ten reads that wait would hold up all others.
        kept = {"max_threads": str(_THREADS_MAX), **kept}
    connection = _numbers(options, _OF_THE_CONNECTION | _ALSO_OF_THE_CONNECTION)
    configuration = _numbers(options, _OF_THE_CONFIGURATION)
    if mfusepy.fuse_version_minor >= _DEAF_SINCE:
        # Without it libfuse has the kernel interrupt nothing any more (fuse_lib_init in fuse.c).
        configuration.setdefault("intr", 1)
    _Fuse(run, mountpoint, connection, **kept, **configuration)


def _numbers(options: Mapping[str, str | bool], names: set[str]) -> dict[str, int]:
    """Those of `options` that are `names`; one without a value is 1."""
    found = {name: str(value) for name, value in options.items() if name in names and value is not True}
    for name, value in found.items():
        if not value.isdecimal() or int(value) > _NUMBER_MAX:
            raise SetupError(f"-o {name} takes a number")
    return {name: int(found.get(name, True)) for name in names & options.keys()}
