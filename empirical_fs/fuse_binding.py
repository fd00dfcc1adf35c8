"""Which libfuse serves, and what the kernel is told and asked beside its own requests."""

import ctypes
import logging
import os
import shutil
import struct
import threading
from collections.abc import Iterable, Mapping
from ctypes.util import find_library
from importlib.util import find_spec
from typing import Any

from empirical_fs.errors import SetupError
from empirical_fs.libfuse import IN_HEADER, ROOT_NODE, Libfuse, Session

LIBRARY_VARIABLE = "EMPIRICAL_FS_LIBFUSE"
"""The environment variable that chooses the library: 2 or 3."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_FREED = 16 * 2**20
_ARENAS = 2
_NOTIFY_INVAL_INODE, _NOTIFY_INVAL_ENTRY = 2, 3
_OUT_HEADER = struct.Struct("=IiQ")
_INVAL_INODE = struct.Struct("=Qqq")
_INVAL_ENTRY = struct.Struct("=QII")
_ATTRIBUTES_ONLY = -1
_RENAME = 12
_RENAME_IN = struct.Struct("=Q")
_NOT_THE_KERNELS = 2**63
"""The number of a request that the kernel never made: it takes no answer (ENOENT), which libfuse expects."""
_FUSEPYS = 2
"""The version of libfuse that fusepy knows; FUSE_LIBRARY_PATH may have it load another."""
_INSTALL_2, _INSTALL_3 = "sudo apt install libfuse2", "sudo apt install fuse3"
_INSTALL_BINDING = "pipx install --force 'empirical-fs[fuse3]'"

log = logging.getLogger(__name__)


def check_library() -> int:
    """The version of libfuse that would serve: 2 or 3.

    That is libfuse 3 where mfusepy is there, which the extra `fuse3` brings, and the fusermount3 by which it
    mounts for users; else libfuse 2, with fusepy. The environment variable EMPIRICAL_FS_LIBFUSE=2 or =3 takes
    that one and no other. FUSE_LIBRARY_PATH, which both bindings know, names the file of the library.

    Raises:
        SetupError: something is missing, or EMPIRICAL_FS_LIBFUSE has another value.
    """
    return _library().MAJOR


def _library() -> Libfuse:
    """The binding that serves."""
    loaders = {"2": _libfuse2, "3": _libfuse3}
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen and chosen not in loaders:
        raise SetupError(f"{LIBRARY_VARIABLE} must be 2 or 3")
    tried = (chosen,) if chosen else _by_preference()
    found = next(filter(None, (loaders[version]() for version in tried)), None)
    if found is not None:
        return found
    if chosen == "2":
        raise SetupError(f"libfuse 2 is not installed; on Debian and Ubuntu: {_INSTALL_2}")
    if find_library("fuse3") is not None and find_spec("mfusepy") is None:
        raise SetupError(f"there is libfuse 3, and mfusepy is missing: {_INSTALL_BINDING}")
    if chosen == "3":
        raise SetupError(f"libfuse 3 is not installed; on Debian and Ubuntu: {_INSTALL_3}")
    raise SetupError(
        f"libfuse is not installed; on Debian and Ubuntu: {_INSTALL_2},"
        f" or where that is gone: {_INSTALL_3} && {_INSTALL_BINDING}"
    )


def _by_preference() -> tuple[str, str]:
    can_3_mount = os.getuid() == 0 or shutil.which("fusermount3") is not None
    return ("3", "2") if can_3_mount else ("2", "3")


def _libfuse2() -> Libfuse | None:
    try:
        from empirical_fs import libfuse2  # noqa: PLC0415 - fails where libfuse is missing
    except OSError:
        return None
    return libfuse2 if libfuse2.MAJOR == _FUSEPYS else None


def _libfuse3() -> Libfuse | None:
    if find_spec("mfusepy") is None:
        return None
    # By itself mfusepy takes libfuse 2 where both are.
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    try:
        from empirical_fs import libfuse3  # noqa: PLC0415 - fails where libfuse is missing, or too new
    except (OSError, AttributeError):
        return None
    return libfuse3 if libfuse3.MAJOR != _FUSEPYS else None


class Kernel:
    """Libfuse's connection to the kernel, which is answered, and told and asked more beside its requests.

    The lock guards the descriptor, a duplicate of libfuse's own of /dev/fuse, since libfuse may close its one
    while we write, and libfuse's session, so that libfuse does not end while it is called.
    """

    def __init__(self) -> None:
        """Not connected yet.

        Raises:
            SetupError: no libfuse can serve.
        """
        self._library = _library()
        self._lock = threading.Lock()
        self._device: int | None = None
        self._session: Session

    @property
    def takes_large_reads(self) -> bool:
        """Whether the kernel may ask for more than 128 KiB at a time, of which libfuse 2 knows nothing."""
        return self._library.MAJOR != _FUSEPYS

    def serve(self, operations: Any, mountpoint: str, options: Mapping[str, str | bool]) -> None:
        """Mount and answer the kernel until the file system is unmounted.

        Raises:
            RuntimeError: the mount failed; libfuse has said why on stderr.
            SetupError: an option has a bad value.
        """
        _keep_freed_memory()
        self._library.mount(operations, mountpoint, options)

    def connected(self) -> None:
        """Take hold of the mount's device; called from a callback of libfuse, whose context is needed."""
        self._session = self._library.session()
        with self._lock:
            self._device = os.dup(self._session.device)

    def is_interrupted(self) -> bool:
        """As `Session.is_interrupted`; called from a callback of libfuse."""
        return self._session.is_interrupted()

    def caller(self) -> int:
        """As `Session.caller`; called from a callback of libfuse."""
        return self._session.caller()

    def caller_user(self) -> int:
        """As `Session.caller_user`; called from a callback of libfuse."""
        return self._session.caller_user()

    def disconnected(self) -> None:
        """The mount is gone."""
        with self._lock:
            if self._device is not None:
                os.close(self._device)
            self._device = None

    def move(self, name: str, path: str) -> None:
        """Have libfuse know the inode of `name` by `path`, as though the kernel had asked it to rename.

        The kernel goes on with the inode; it makes another when it looks `name` up again. Libfuse calls
        `rename` before, in this thread, and waits until no open or lookup by the old path is under way.
        `path` may have slashes: libfuse compares names and does not look into them.

        Must not be called from a callback: libfuse may wait for that very callback.
        """
        body = _RENAME_IN.pack(ROOT_NODE) + name.encode() + b"\0" + path.encode() + b"\0"
        size = IN_HEADER.size + len(body)
        head = IN_HEADER.pack(size, _RENAME, _NOT_THE_KERNELS, ROOT_NODE, os.getuid(), os.getgid(), 0, 0)
        with self._lock:
            if self._device is not None:
                self._session.process(head + body)

    def forget(self, names: Iterable[str]) -> None:
        """Drop the directory entries of `names`, and the attributes of the directory.

        Must not be called from a callback: the kernel may wait for that very callback (FUSE protocol,
        FUSE_NOTIFY_INVAL_ENTRY in linux/fuse.h).
        """
        for name in names:
            encoded = name.encode()
            body = _INVAL_ENTRY.pack(ROOT_NODE, len(encoded), 0) + encoded + b"\0"
            self._notify(_NOTIFY_INVAL_ENTRY, body)
        self._notify(_NOTIFY_INVAL_INODE, _INVAL_INODE.pack(ROOT_NODE, _ATTRIBUTES_ONLY, 0))

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
