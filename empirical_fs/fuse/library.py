"""Calls the low-level API of libfuse 2 or 3 through ctypes; hides all differences between the two.

fusepy (libfuse 2) and mfusepy (libfuse 3) describe the system's structures that the API uses (`struct stat`,
`statvfs`, `fuse_file_info`). The table of the low-level operations and the functions are described here
(fuse_lowlevel.h of 2.9 and of 3.0 to 3.17).
"""

import ctypes
import os
from collections.abc import Callable, Mapping
from typing import Any

from empirical_fs.fuse.nodes import ROOT_NUMBER
from empirical_fs.fuse.structures import (
    BACKING_ID_AT,
    INTERRUPTED,
    NAME,
    POINTER,
    REQUEST,
    SESSION,
    SIGNATURES,
    TABLE_2,
    TABLE_3,
    Arguments,
    Connection2,
    Context,
    entry_type,
    file_info_type,
    operations_type,
)

LIBFUSE_2 = 2
"""The version of libfuse that fusepy describes; FUSE_LIBRARY_PATH may make it load another."""

ASYNC_READ, EXPORT_SUPPORT, IOCTL_DIR = 1 << 0, 1 << 4, 1 << 11
READDIRPLUS, READDIRPLUS_AUTO = 1 << 13, 1 << 14
PASSTHROUGH = 1 << 29
"""Capabilities of the connection (FUSE_CAP_ in fuse_common.h). Libfuse 2 knows the first three."""
_WANTED = ASYNC_READ | EXPORT_SUPPORT | IOCTL_DIR | READDIRPLUS | READDIRPLUS_AUTO
"""The capabilities that we want. By default libfuse 3 also wants AUTO_INVAL_DATA, with which the kernel asks
for the attributes before each read, and ASYNC_DIO, with which a waiting direct read cannot be interrupted."""
_LOW = 2**32 - 1
_WITH_PASSTHROUGH = 317
"""The first version of libfuse with `backing_id` and FUSE_CAP_PASSTHROUGH, 3.17 (its ChangeLog.rst)."""


def major_of(binding: Any) -> int:
    """The major version of the library that a binding has actually loaded."""
    # 29 is 2.9, 314 is 3.14 (FUSE_VERSION in fuse_common.h).
    return 2 if binding._libfuse.fuse_version() < 30 else 3  # noqa: PLR2004


class Library:
    """The low-level API of the libfuse that a binding has loaded.

    Functions that may block, or copy much, are called without Python's GIL; the others keep it, since to
    release it takes longer than the call.
    """

    def __init__(self, binding: Any) -> None:
        """Describe the library that `binding`, which is fusepy or mfusepy, has loaded."""
        loaded = binding._libfuse  # neither binding makes it public
        self._waiting, self._quick = loaded, ctypes.PyDLL(loaded._name)
        self.major = major_of(binding)
        self.version = int(loaded.fuse_version())
        """For example 29 for 2.9, and 317 for 3.17."""
        self.stat, self.statvfs = binding.c_stat, binding.c_statvfs
        self.file_info = file_info_type(binding.fuse_file_info)
        self._connection = Connection2 if self.major == LIBFUSE_2 else binding.fuse_conn_info
        self.entry = entry_type(self.stat)
        table = TABLE_2 if self.major == LIBFUSE_2 else TABLE_3
        self._types = {
            name: ctypes.CFUNCTYPE(None, *SIGNATURES[name]) for name in table if name in SIGNATURES
        }
        self.operations = operations_type(table, self._types)

        number, size = ctypes.c_uint64, ctypes.c_size_t
        self.reply_err = self._function("fuse_reply_err", REQUEST, ctypes.c_int)
        self.reply_none = self._function("fuse_reply_none", REQUEST, result=None)
        self.reply_entry = self._function("fuse_reply_entry", REQUEST, POINTER)
        self.reply_attr = self._function("fuse_reply_attr", REQUEST, POINTER, ctypes.c_double)
        self.reply_open = self._function("fuse_reply_open", REQUEST, POINTER)
        self.reply_buf = self._function("fuse_reply_buf", REQUEST, POINTER, size)
        self.reply_iov = self._function("fuse_reply_iov", REQUEST, POINTER, ctypes.c_int)
        self.reply_statfs = self._function("fuse_reply_statfs", REQUEST, POINTER)
        self.reply_xattr = self._function("fuse_reply_xattr", REQUEST, size)
        self.reply_ioctl = self._function("fuse_reply_ioctl", REQUEST, ctypes.c_int, POINTER, size)
        self.on_interrupt = self._function(
            "fuse_req_interrupt_func", REQUEST, INTERRUPTED, POINTER, result=None
        )
        self._context = self._function("fuse_req_ctx", REQUEST, result=ctypes.POINTER(Context), quick=True)
        self.add_entry = self._function(
            "fuse_add_direntry",
            REQUEST,
            POINTER,
            size,
            NAME,
            POINTER,
            ctypes.c_int64,
            result=size,
            quick=True,
        )
        self.add_entry_plus = self.add_entry
        if self.has_readdirplus:
            self.add_entry_plus = self._function(
                *("fuse_add_direntry_plus", REQUEST, POINTER, size, NAME, POINTER, ctypes.c_int64),
                result=size,
                quick=True,
            )
        self._loop = self._function("fuse_session_loop", SESSION)
        self._new = self._function(
            "fuse_lowlevel_new" if self.major == LIBFUSE_2 else "fuse_session_new",
            *(POINTER, POINTER, size, POINTER),
            result=SESSION,
        )
        if self.major != LIBFUSE_2:
            self._session_fd = self._function("fuse_session_fd", SESSION)
        self._inval_inode = self._function(
            "fuse_lowlevel_notify_inval_inode", POINTER, number, ctypes.c_int64, ctypes.c_int64
        )
        self._inval_entry = self._function("fuse_lowlevel_notify_inval_entry", POINTER, number, NAME, size)

    @property
    def has_readdirplus(self) -> bool:
        """Whether a directory listing can include attributes (READDIRPLUS)."""
        return self.major != LIBFUSE_2

    @property
    def has_passthrough(self) -> bool:
        """Whether an open can be answered with a file that the kernel reads by itself."""
        return self.version >= _WITH_PASSTHROUGH

    def pass_through(self, info: Any, backing_id: int) -> None:
        """Let the kernel read an open file, whose `struct fuse_file_info` is `info`, by itself.

        Args:
            info: the answer to the open.
            backing_id: the kernel's number of the file that it reads.
        """
        ctypes.c_int32.from_buffer(info, BACKING_ID_AT).value = backing_id

    def callback(self, operation: str, call: Callable[..., None]) -> Any:
        """`call` as a C callback for that operation; keep a reference as long as libfuse may call it."""
        return self._types[operation](call)

    def serves(self, operation: str) -> bool:
        """Whether this libfuse has that operation."""
        return operation in self._types

    def context(self, request: int) -> Context:
        """The user, group and thread that sent a request that is not answered yet."""
        found: Context = self._context(request).contents
        return found

    def mount(
        self, mountpoint: str, options: str, operations: Any, abandon: Callable[[], None]
    ) -> "Mounted | None":
        """Mount, and pass the kernel's requests to `operations`; None if it failed, and libfuse said why.

        `abandon` unmounts again if libfuse fails after the mount. Libfuse itself must not do that, since
        `mountpoint` may be a name that is only valid now.
        """
        words = [b"empirical-mount", b"-o", os.fsencode(options)]
        arguments = Arguments(len(words), (ctypes.c_char_p * len(words))(*words), 0)
        table = (ctypes.byref(operations), ctypes.sizeof(operations), None)
        place = os.fsencode(mountpoint)
        if self.major == LIBFUSE_2:
            mount = self._function("fuse_mount", ctypes.c_char_p, POINTER, result=POINTER)
            channel = mount(place, ctypes.byref(arguments))
            if not channel:
                return None
            session = self._new(ctypes.byref(arguments), *table)
            if not session:
                abandon()
                return None
            self._function("fuse_session_add_chan", SESSION, POINTER, result=None)(session, channel)
            return Mounted(session, channel)
        session = self._new(ctypes.byref(arguments), *table)
        if not session or self._function("fuse_session_mount", SESSION, ctypes.c_char_p)(session, place):
            return None
        return Mounted(session, session)

    def loop(self, mounted: "Mounted") -> bool:
        """Process requests in this thread until the file system is unmounted; False if libfuse failed."""
        return bool(self._loop(mounted.session) == 0)

    def negotiate(
        self, connection: int, numbers: Mapping[str, int], backing_depth: int | None = None
    ) -> bool:
        """Choose capabilities in the `struct fuse_conn_info` at address `connection`, and set `numbers`.

        Args:
            connection: the address.
            numbers: fields to set.
            backing_depth: if the kernel is to read files by itself, how many file systems may be stacked
                under these: 0, or 1 for overlayfs; None if it is not.

        Returns whether the kernel will read files by itself.
        """
        known = self._connection.from_address(connection)
        for name, value in numbers.items():
            setattr(known, name, value)
        if self.major == LIBFUSE_2:
            known.want |= EXPORT_SUPPORT | IOCTL_DIR
            return False
        wanted = _WANTED
        if backing_depth is not None and self.has_passthrough and hasattr(known, "max_backing_stack_depth"):
            wanted |= PASSTHROUGH
            known.want |= PASSTHROUGH
            known.max_backing_stack_depth = backing_depth
        known.want = (known.want | EXPORT_SUPPORT) & wanted & known.capable
        if hasattr(known, "want_ext"):
            # Libfuse fails if `want` and `want_ext` disagree.
            known.want_ext = known.want_ext & ~_LOW | known.want
        return bool(known.want & PASSTHROUGH)

    def descriptor(self, mounted: "Mounted") -> int:
        """The descriptor of /dev/fuse through which the kernel sends its requests; libfuse 3 only."""
        return int(self._session_fd(mounted.session))

    def invalidate_inode(self, mounted: "Mounted", number: int, offset: int, size: int = 0) -> int:
        """Make the kernel drop the attributes of an inode, and its pages unless `offset` is negative.

        The pages are those of `size` bytes from `offset`; with `size` 0, all from there to the end.

        Blocks until pages that are being read have arrived; never call it from an operation, since the kernel
        may wait for that. Returns 0 or a negative errno, -ENOENT if the kernel does not have the inode.
        """
        return int(self._inval_inode(mounted.notified, number, offset, size))

    def invalidate_entry(self, mounted: "Mounted", name: bytes) -> int:
        """Make the kernel drop a name in the root directory; otherwise as `invalidate_inode`."""
        return int(self._inval_entry(mounted.notified, ROOT_NUMBER, name, len(name)))

    def _function(self, name: str, *arguments: Any, result: Any = ctypes.c_int, quick: bool = False) -> Any:
        found = getattr(self._quick if quick else self._waiting, name)
        found.argtypes, found.restype = arguments, result
        return found


class Mounted:
    """Pointers to a session of libfuse, and to the object for notifications: a channel in libfuse 2."""

    def __init__(self, session: int, notified: int) -> None:
        """Keep the pointers to the session, and to the object that notifications are sent through."""
        self.session = session
        self.notified = notified
