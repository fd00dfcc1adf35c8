"""The binding of libfuse 2, through fusepy; to import it fails where that finds no libfuse."""

import codecs
import ctypes
from collections.abc import Mapping
from typing import Any

import fuse

from empirical_fs import libfuse

MAJOR = 2 if fuse._libfuse.fuse_version() < 30 else 3  # noqa: PLR2004 - 29 is 2.9 (fuse_common.h)
"""The version of the library that was loaded, whatever that is."""

_ENCODING = "utf-8-any"
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
    def _wrapper(self, operation: libfuse.Run, *args: Any) -> Any:
        self._states.keep()
        return fuse.FUSE._wrapper(operation, *args)

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
    _Fuse(run, run, mountpoint, raw_fi=True, encoding=_ENCODING, foreground=True, **options)


def _find_codec(name: str) -> codecs.CodecInfo | None:
    """UTF-8 in which every path can be decoded."""
    if name.replace("_", "-") != _ENCODING:
        return None
    return codecs.CodecInfo(
        lambda text, _errors="strict": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, _errors="strict": codecs.utf_8_decode(data, "surrogateescape", True),  # noqa: FBT003
        name=_ENCODING,
    )
