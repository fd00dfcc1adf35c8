"""The binding of libfuse 2, through fusepy; to import it fails where that finds no libfuse."""

import codecs
import ctypes
from collections.abc import Mapping
from functools import partial
from typing import Any

import fuse

from empirical_fs import libfuse
from empirical_fs.workers import Workers

MAJOR = 2 if fuse._libfuse.fuse_version() < 30 else 3  # noqa: PLR2004 - 29 is 2.9 (fuse_common.h)
"""The version of the library that was loaded, whatever that is."""

_ENCODING = "utf-8-any"
_OF_A_FILE = ("ftruncate", "fgetattr")
_WANT_OFFSET = 24
_IOCTL_DIR = 1 << 11


class _Session(libfuse.Session):
    def __init__(self) -> None:
        super().__init__(fuse)
        library = self._library
        library.fuse_session_next_chan.restype = ctypes.c_void_p
        self._channel = ctypes.c_void_p(library.fuse_session_next_chan(self._session, None))
        self.device = library.fuse_chan_fd(self._channel)

    def process(self, request: bytes) -> None:
        size = ctypes.c_size_t(len(request))
        self._library.fuse_session_process(self._session, request, size, self._channel)


class _Fuse(libfuse.Callbacks, fuse.FUSE):  # type: ignore[misc]
    """fusepy's callbacks, without its constructor, which has threads of libfuse's own call them."""

    def __init__(self, run: Any, workers: Workers) -> None:
        self._run = self.operations = run
        self._workers = workers
        self.raw_fi = True
        self.encoding = _ENCODING
        self.use_ns = True

    def table(self) -> Any:
        """`struct fuse_operations` of fuse.h with what there is of them, as fusepy's constructor makes it."""
        table = fuse.fuse_operations()
        for name, kind, *_ in table._fields_:
            # Libfuse has these beside the ones without a file; the Operations of fusepy are one and the same.
            value = getattr(self._run, name[1:] if name in _OF_A_FILE else name, None)
            if value is not None:
                is_callback = hasattr(kind, "argtypes")
                setattr(
                    table, name, kind(partial(self._answer, getattr(self, name))) if is_callback else value
                )
        return table

    def _answer(self, operation: libfuse.Run, *args: Any) -> Any:
        self._workers.begin()
        try:
            return self._wrapper(operation, *args)
        finally:
            self._workers.end()

    def init(self, connection: int) -> Any:
        # Libfuse would refuse commands for a directory (FUSE_CAP_IOCTL_DIR in fuse_common.h).
        wanted = ctypes.c_uint.from_address(connection + _WANT_OFFSET)
        wanted.value |= _IOCTL_DIR
        return super().init(connection)

    def readdir(self, path: None, buffer: Any, fill: Any, offset: int, file_info: Any) -> int:
        stat = fuse.c_stat()
        for name in self._names(stat, file_info, offset):
            fill(buffer, name, stat, 0)
        return 0


def session() -> libfuse.Session:
    """That of the mount that this callback is of."""
    return _Session()


def mount(run: Any, mountpoint: str, options: Mapping[str, str | bool]) -> None:
    """As `Libfuse.mount`."""
    # fusepy answers EINVAL with a traceback to a path that cannot be decoded, and has no handler for errors.
    codecs.register(_find_codec)
    workers = Workers()
    table = _Fuse(run, workers).table()
    chosen = ",".join(_Fuse._normalize_fuse_options(**options))
    arguments = [each.encode(_ENCODING) for each in ("fuse", "-f", "-o", chosen, mountpoint)]
    library = fuse._libfuse
    library.fuse_setup.restype = library.fuse_get_session.restype = ctypes.c_void_p
    place, is_threaded = ctypes.c_char_p(), ctypes.c_int()
    handle = ctypes.c_void_p(
        library.fuse_setup(
            len(arguments),
            (ctypes.c_char_p * len(arguments))(*arguments),
            ctypes.byref(table),
            ctypes.c_size_t(ctypes.sizeof(table)),
            ctypes.byref(place),
            ctypes.byref(is_threaded),
            None,
        )
    )
    if not handle:
        raise RuntimeError("libfuse cannot mount")
    library.fuse_start_cleanup_thread(handle)  # for `-o remember`
    session = ctypes.c_void_p(library.fuse_get_session(handle))
    if not workers.run(lambda: library.fuse_session_loop(session) == 0):
        # The other threads are still in libfuse: what they use is gone with the process.
        raise RuntimeError("libfuse failed")
    library.fuse_stop_cleanup_thread(handle)
    library.fuse_teardown(handle, place)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    """UTF-8 in which every path can be decoded."""
    if name.replace("_", "-") != _ENCODING:
        return None
    return codecs.CodecInfo(
        lambda text, _errors="strict": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, _errors="strict": codecs.utf_8_decode(data, "surrogateescape", True),  # noqa: FBT003
        name=_ENCODING,
    )
