"""What the bindings of libfuse 2 and of libfuse 3 have in common."""

import ctypes
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

Run = Callable[..., Any]
"""Runs one operation, by its name."""

ROOT_NODE = 1
"""FUSE_ROOT_ID in linux/fuse.h."""
IN_HEADER = struct.Struct("=IIQQIIII")
"""`struct fuse_in_header` in linux/fuse.h: what every request begins with."""


class Session(ABC):
    """The session of a mount, as libfuse has it.

    Asks libfuse without giving up Python's lock, which would take longer than the call.
    """

    device: int
    """Libfuse's own descriptor of /dev/fuse, which it closes when the mount is gone."""

    def __init__(self, binding: Any) -> None:
        """Of the mount that this callback is of; `binding` is fusepy or mfusepy."""
        library = binding._libfuse  # neither offers another way to it
        self._quick = ctypes.PyDLL(library._name)
        self._quick.fuse_get_context.restype = ctypes.POINTER(binding.fuse_context)
        library.fuse_get_session.restype = ctypes.c_void_p
        context = self._quick.fuse_get_context().contents
        self._library = library
        self._session = ctypes.c_void_p(library.fuse_get_session(ctypes.c_void_p(context.fuse)))

    @abstractmethod
    def process(self, request: bytes) -> None:
        """Have libfuse answer a request in this thread, as though it had read it from the kernel."""

    def is_interrupted(self) -> bool:
        """Whether the kernel has asked to give up the operation of this thread (FUSE_INTERRUPT)."""
        return bool(self._quick.fuse_interrupted())

    def caller(self) -> int:
        """The id of the thread that called for the operation of this thread; 0 for the kernel's own."""
        return int(self._quick.fuse_get_context().contents.pid)

    def caller_user(self) -> int:
        """The id of the user who called for the operation of this thread."""
        return int(self._quick.fuse_get_context().contents.uid)


class Libfuse(Protocol):
    """A module that binds one of the libraries."""

    @property
    def MAJOR(self) -> int:  # noqa: N802 - a constant of the module
        """The version of the library."""

    def session(self) -> Session:
        """That of the mount that this callback is of."""

    def mount(self, run: Any, mountpoint: str, options: Mapping[str, str | bool]) -> None:
        """Mount, and answer the kernel by `run`, the Operations, until the file system is unmounted.

        Raises:
            RuntimeError: the mount failed; libfuse has said why on stderr.
        """


class Callbacks:
    """Callbacks that are the same with either, and spare what fusepy and mfusepy do.

    A read fills libfuse's own buffer, where they would copy the bytes twice more.
    """

    _run: Run

    def read(self, path: bytes | None, buffer: Any, size: int, offset: int, file_info: Any) -> int:
        """Fill `buffer` with bytes of an open file; their number."""
        room = (ctypes.c_char * size).from_address(ctypes.addressof(buffer.contents))
        count: int = self._run("read", None, memoryview(room).cast("B"), offset, file_info.contents)
        return count

    def ioctl(
        self, path: bytes | None, command: int, _argument: Any, file_info: Any, flags: int, data: int | None
    ) -> int:
        """Answer a command in the memory that libfuse has for it, whose size the command tells."""
        size = command >> 16 & 0x3FFF if data else 0
        room = memoryview((ctypes.c_char * size).from_address(data or 0) if size else b"").cast("B")
        self._run("ioctl", None, command & 0xFFFFFFFF, room)
        return 0

    def _names(self, stat: Any, file_info: Any, offset: int) -> Iterator[bytes]:
        """Every name, while `stat`, a structure, has its inode and mode.

        One structure for all, where fusepy and mfusepy make a dictionary for each, in twice the time.
        """
        for name, inode, mode in self._run("readdir", None, file_info.contents.fh, offset):
            stat.st_ino, stat.st_mode = inode, mode
            yield name.encode()
