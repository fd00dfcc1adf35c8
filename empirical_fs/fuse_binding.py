"""The one place that touches fusepy and the kernel's FUSE protocol."""

import codecs
import ctypes
import importlib
import logging
import os
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Any

from empirical_fs.errors import SetupError

ENCODING = "utf-8-any"
"""UTF-8 in which every path can be decoded; fusepy answers EINVAL with a traceback for others."""

_ROOT_NODE = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_FREED = 16 * 2**20
_KEPT_STATES = 256
_ARENAS = 2
_NOTIFY_INVAL_INODE, _NOTIFY_INVAL_ENTRY = 2, 3
_OUT_HEADER = struct.Struct("=IiQ")
_INVAL_INODE = struct.Struct("=Qqq")
_INVAL_ENTRY = struct.Struct("=QII")
_ATTRIBUTES_ONLY = -1
_RENAME = 12
_IN_HEADER = struct.Struct("=IIQQIIII")
_RENAME_IN = struct.Struct("=Q")
_WANT_OFFSET = 24
_IOCTL_DIR = 1 << 11
_NOT_THE_KERNELS = 2**63
"""The number of a request that the kernel never made: it takes no answer (ENOENT), which libfuse expects."""

log = logging.getLogger(__name__)


def check_library() -> None:
    """See whether fusepy finds the libfuse that it needs.

    Raises:
        SetupError: it does not.
    """
    try:
        importlib.import_module("fuse")
    except OSError as error:
        raise SetupError(
            "libfuse 2 is not installed; on Debian and Ubuntu: sudo apt install libfuse2"
        ) from error


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != ENCODING:
        return None
    return codecs.CodecInfo(
        lambda text, _errors="strict": codecs.utf_8_encode(text, "surrogateescape"),
        lambda data, _errors="strict": codecs.utf_8_decode(data, "surrogateescape", True),  # noqa: FBT003
        name=ENCODING,
    )


class Kernel:
    """What the kernel is told and asked beside its own requests, by libfuse's connection to it.

    The lock guards the descriptor, a duplicate of libfuse's own of /dev/fuse, since libfuse may close its one
    while we write, and libfuse's session, so that libfuse does not end while it is called.
    """

    def __init__(self) -> None:
        """Not connected yet."""
        self._lock = threading.Lock()
        self._device: int | None = None
        self._session: ctypes.c_void_p | None = None

    def connected(self) -> None:
        """Take hold of the mount's device; called from a callback of libfuse, whose context is needed."""
        import fuse  # noqa: PLC0415 - fails where libfuse is missing, which `check_library` says better

        library = fuse._libfuse  # fusepy offers no other way to it
        library.fuse_get_session.restype = ctypes.c_void_p
        library.fuse_session_next_chan.restype = ctypes.c_void_p
        # Without giving up Python's lock, which would take longer than the call.
        self._library = ctypes.PyDLL(library._name)
        self._library.fuse_get_context.restype = ctypes.POINTER(fuse.fuse_context)
        context = library.fuse_get_context().contents
        session = ctypes.c_void_p(library.fuse_get_session(ctypes.c_void_p(context.fuse)))
        channel = ctypes.c_void_p(library.fuse_session_next_chan(session, None))
        self._process = library.fuse_session_process
        self._channel = channel
        with self._lock:
            self._session = session
            self._device = os.dup(library.fuse_chan_fd(channel))

    def is_interrupted(self) -> bool:
        """Whether the kernel has asked to give up the operation of this thread (FUSE_INTERRUPT)."""
        return bool(self._library.fuse_interrupted())

    def caller(self) -> int:
        """The id of the thread that called for the operation of this thread; 0 for the kernel's own."""
        return int(self._library.fuse_get_context().contents.pid)

    def caller_user(self) -> int:
        """The id of the user who called for the operation of this thread."""
        return int(self._library.fuse_get_context().contents.uid)

    def disconnected(self) -> None:
        """The mount is gone."""
        with self._lock:
            if self._device is not None:
                os.close(self._device)
            self._device = self._session = None

    def move(self, name: str, path: str) -> None:
        """Have libfuse know the inode of `name` by `path`, as though the kernel had asked it to rename.

        The kernel goes on with the inode; it makes another when it looks `name` up again. Libfuse calls
        `rename` before, in this thread, and waits until no open or lookup by the old path is under way.
        `path` may have slashes: libfuse compares names and does not look into them.

        Must not be called from a callback: libfuse may wait for that very callback.
        """
        body = _RENAME_IN.pack(_ROOT_NODE) + name.encode() + b"\0" + path.encode() + b"\0"
        size = _IN_HEADER.size + len(body)
        head = _IN_HEADER.pack(size, _RENAME, _NOT_THE_KERNELS, _ROOT_NODE, os.getuid(), os.getgid(), 0, 0)
        with self._lock:
            if self._session is not None:
                self._process(self._session, head + body, ctypes.c_size_t(size), self._channel)

    def forget(self, names: Iterable[str]) -> None:
        """Drop the directory entries of `names`, and the attributes of the directory.

        Must not be called from a callback: the kernel may wait for that very callback (FUSE protocol,
        FUSE_NOTIFY_INVAL_ENTRY in linux/fuse.h).
        """
        for name in names:
            encoded = name.encode()
            body = _INVAL_ENTRY.pack(_ROOT_NODE, len(encoded), 0) + encoded + b"\0"
            self._notify(_NOTIFY_INVAL_ENTRY, body)
        self._notify(_NOTIFY_INVAL_INODE, _INVAL_INODE.pack(_ROOT_NODE, _ATTRIBUTES_ONLY, 0))

    def _notify(self, what: int, body: bytes) -> None:
        device = self._device
        if device is None:
            return
        try:
            os.write(device, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), what, 0) + body)
        except FileNotFoundError:
            pass  # the kernel does not hold that name
        except OSError as error:
            log.debug("the kernel was not told of a change: %s", error)


class _ThreadStates:
    """Keeps what Python knows of libfuse's threads from one callback to the next.

    ctypes would make it and throw it away for each callback, with memory that is mapped and unmapped and so
    interrupts every CPU. A thread of libfuse that ends leaves its state behind, since nobody is told; that is
    why their number is limited: the rest goes on as ctypes does it. Without a lock: a few more do not matter.
    """

    def __init__(self) -> None:
        self._left = _KEPT_STATES
        self._of_thread = threading.local()  # part of the state, and gone with it

    def keep(self) -> None:
        """Keep the state of the calling thread; called from a callback."""
        if self._left and not hasattr(self._of_thread, "is_kept"):
            self._left -= 1
            self._of_thread.is_kept = True
            # Never released: the last release would delete the state (Python's C API, PyGILState_Release).
            ctypes.pythonapi.PyGILState_Ensure()


def _keep_freed_memory() -> None:
    """Have glibc keep the buffers that libfuse allocates and frees for every read.

    It would give them back to the system each time, and page faults cost more than the copying.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_FREED)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREED)
        # Each heap of its own keeps as much, and Python's lock lets few threads allocate at once.
        mallopt(_M_ARENA_MAX, _ARENAS)


def serve(operations: Any, mountpoint: str, options: dict[str, str | bool]) -> None:
    """Mount and answer the kernel until the file system is unmounted.

    Raises:
        RuntimeError: the mount failed; libfuse has said why on stderr.
    """
    import fuse  # noqa: PLC0415 - fails where libfuse is missing, which `check_library` says better

    states = _ThreadStates()

    class Fuse(fuse.FUSE):  # type: ignore[misc]
        """fusepy, but that a read fills libfuse's own buffer, and all names are told in one structure.

        It would copy the bytes twice more, and take twice as long for a directory.
        """

        @staticmethod
        def _wrapper(operation: Callable[..., Any], *args: Any) -> Any:
            states.keep()
            return fuse.FUSE._wrapper(operation, *args)

        def read(self, path: bytes, buffer: Any, size: int, offset: int, file_info: Any) -> int:
            room = (ctypes.c_char * size).from_address(ctypes.addressof(buffer.contents))
            count: int = self.operations("read", path, memoryview(room).cast("B"), offset, file_info.contents)
            return count

        def init(self, connection: int) -> Any:
            # Libfuse would refuse commands for a directory (FUSE_CAP_IOCTL_DIR in fuse_common.h).
            wanted = ctypes.c_uint.from_address(connection + _WANT_OFFSET)
            wanted.value |= _IOCTL_DIR
            return super().init(connection)

        def ioctl(
            self, path: bytes, command: int, _argument: Any, file_info: Any, flags: int, data: int | None
        ) -> int:
            size = command >> 16 & 0x3FFF if data else 0
            room = memoryview((ctypes.c_char * size).from_address(data or 0) if size else b"").cast("B")
            self.operations("ioctl", None, command & 0xFFFFFFFF, room)
            return 0

        def readdir(self, path: bytes, buffer: Any, fill: Any, offset: int, file_info: Any) -> int:
            known = fuse.c_stat()
            for name, inode, mode in self.operations("readdir", path, file_info.contents.fh):
                known.st_ino, known.st_mode = inode, mode
                fill(buffer, name.encode(ENCODING), known, 0)
            return 0

    _keep_freed_memory()
    codecs.register(_find_codec)
    Fuse(operations, mountpoint, raw_fi=True, encoding=ENCODING, foreground=True, **options)
