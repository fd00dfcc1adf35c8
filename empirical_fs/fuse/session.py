"""A mount: runs the threads that take the kernel's requests until the unmount, and notifies the kernel."""

import errno
import fcntl
import logging
import os
import struct
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any, Protocol

from empirical_fs.errors import Closing, NoThread, SetupError, Trouble
from empirical_fs.fuse.library import Library, Mounted
from empirical_fs.fuse.memory_allocator import keep_freed_memory
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.request import OpenRequests, Request
from empirical_fs.work.timer import Timer

LIBFUSE_FAILED = Trouble(
    "libfuse could not go on, and the mount is gone", "if it was still wanted, mount again"
)

_BACKING_OPEN, _BACKING_CLOSE = 0x4010E501, 0x4004E502
"""FUSE_DEV_IOC_BACKING_OPEN and FUSE_DEV_IOC_BACKING_CLOSE of linux/fuse.h."""
_BACKING_FILE, _BACKING_ID = struct.Struct("=iIQ"), struct.Struct("=I")
"""`struct fuse_backing_map`: a descriptor, flags and padding; and what closes one."""
_THREADS = 4
"""Threads that take requests. No operation blocks, so that they can serve any number of programs."""

log = logging.getLogger(__name__)


class MountFailed(SetupError):
    """Libfuse could not mount; it has written the reason to stderr."""


class LibfuseFailed(SetupError):
    """Libfuse failed after the mount; if it is still mounted, nothing answers its requests."""


class Operations(Protocol):
    """Answers requests: has a method for each operation, which takes the request and libfuse's arguments."""

    def new_request(
        self, requests: OpenRequests, raw: int, operation: str, words: tuple[Any, ...]
    ) -> Request:
        """Make the object for a new request."""

    def failed(self, operation: str, request: Request, error: BaseException) -> None:
        """Answer the request of an operation that raised, if it is still open."""

    def connected(self) -> None:
        """Called when the kernel has accepted the mount."""


class Place(Protocol):
    """The directory to mount on."""

    def entered(self) -> AbstractContextManager[str]:
        """A context in which the yielded name leads to the directory, and to no other."""

    def check_mounted(self) -> None:
        """Check that the mount is where it should be; if not, unmount and raise SetupError."""

    def abandon(self) -> None:
        """Unmount; called when no thread answers the mount's requests."""

    def release(self) -> None:
        """Release the directory, which is no longer needed."""


class Session:
    """One mount through the low-level API.

    The lock guards whether the kernel may still be notified. It is held during a notification, so that none
    is sent after the unmount.
    """

    def __init__(self, library: Library, timer: Timer) -> None:
        """Prepare a mount; `serve` starts `timer`, which ends requests at their deadlines."""
        self._library = library
        self._timer = timer
        self._requests = OpenRequests(library, timer)
        self._lock = threading.Lock()
        self._mounted: Mounted | None = None
        self._kept: list[Any] = []
        self.has_passthrough = False
        """Whether the kernel reads files by itself; False until it has accepted the mount."""
        self._ended = SimpleQueue[bool]()
        self._failed_begin: list[BaseException] = []
        self._started = 0

    def serve(self, operations: Operations, place: Place, options: FuseOptions) -> None:
        """Mount and answer the kernel until the file system is unmounted.

        Raises:
            MountFailed: libfuse cannot mount.
            SetupError: the directory is no longer the same.
            NoThread: the system has no thread to serve the mount.
            LibfuseFailed: libfuse failed afterwards.
        """
        keep_freed_memory()
        self._timer.start()
        table = self._table(operations, options)
        self._kept.append(table)
        with place.entered() as name:
            mounted = self._library.mount(name, options.text, table, place.abandon)
        if mounted is None:
            raise MountFailed("libfuse cannot mount")
        place.check_mounted()
        self._mounted = mounted
        try:
            self._start(mounted)
        except RuntimeError as error:
            place.abandon()
            raise NoThread from error
        place.release()
        try:
            if not all(self._ended.get() for _ in range(self._started)):
                if self._failed_begin:
                    raise LibfuseFailed(_begin_failed(self._failed_begin[0])) from self._failed_begin[0]
                raise LibfuseFailed(LIBFUSE_FAILED)
        finally:
            self._end()

    def drop_entry(self, name: str) -> None:
        """Make the kernel look a name up again. Never from an operation, for which the kernel may wait."""
        self._notify(lambda mounted: self._library.invalidate_entry(mounted, name.encode()))

    def drop_attributes(self, number: int) -> None:
        """Make the kernel ask for the attributes of an inode again. Never from an operation."""
        self._notify(lambda mounted: self._library.invalidate_inode(mounted, number, -1))

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        """Make the kernel drop attributes and pages; True if it has none now. Never from an operation.

        The pages are those of `size` bytes from `start`; with `size` 0, all from `start` to the end.
        """
        return self._notify(lambda mounted: self._library.invalidate_inode(mounted, number, start, size))

    def open_backing(self, descriptor: int) -> int:
        """The kernel's number of an open file, which it keeps open and may read by itself.

        Does not block, and may be called from an operation.

        Raises:
            OSError: the kernel refuses; EPERM without CAP_SYS_ADMIN, ELOOP if it is stacked too deep.
        """
        return self._backing(_BACKING_OPEN, bytearray(_BACKING_FILE.pack(descriptor, 0, 0)))

    def close_backing(self, number: int) -> None:
        """Let the kernel forget such a number; open files that use it stay open.

        Raises:
            OSError: the kernel refuses.
        """
        self._backing(_BACKING_CLOSE, bytearray(_BACKING_ID.pack(number)))

    def _backing(self, command: int, words: bytearray) -> int:
        mounted = self._mounted
        if mounted is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return int(fcntl.ioctl(self._library.descriptor(mounted), command, words))

    def _notify(self, tell: Callable[[Mounted], int]) -> bool:
        """Call `tell`, which returns 0 or a negative errno, unless unmounted; True if it succeeded."""
        with self._lock:
            if self._mounted is None:
                return False
            result = -tell(self._mounted)
        if result not in (0, errno.ENOENT):
            log.debug("the kernel was not told of a change: %s", os.strerror(result))
            return False
        return True

    def _table(self, operations: Operations, options: FuseOptions) -> Any:
        """`struct fuse_lowlevel_ops` with callbacks for those methods of `operations` that libfuse has."""
        table = self._library.operations()
        for name, *_ in table._fields_:
            handle = getattr(operations, name, None)
            if handle is not None and self._library.serves(name):
                setattr(table, name, self._library.callback(name, self._answering(name, handle, operations)))

        def init(_data: int, connection: int) -> None:
            try:
                self.has_passthrough = self._library.negotiate(
                    connection, options.connection, options.backing_depth
                )
                operations.connected()
            except BaseException as error:  # noqa: BLE001 - `serve` raises it
                self._failed_begin.append(error)
                self._ended.put(False)  # noqa: FBT003 - as if a thread had failed

        table.init = self._library.callback("init", init)
        return table

    def _answering(
        self, name: str, handle: Callable[..., None], operations: Operations
    ) -> Callable[..., None]:
        """The callback of one operation, which never raises, and leaves no request unanswered."""
        requests, new_request, library = self._requests, operations.new_request, self._library

        def call(raw: int, *words: Any) -> None:
            try:
                request = new_request(requests, raw, name, words)
                requests.accept(request)
            except MemoryError:
                library.reply_err(raw, errno.ENOMEM)
                return
            try:
                handle(request, *words)
            except BaseException as error:  # noqa: BLE001 - libfuse must not see it, and the kernel is answered
                operations.failed(name, request, error)
            if not request.is_deferred and requests.is_open(request):
                log.error("%s gave no answer", name)
                request.refuse(errno.EIO)

        return call

    def _start(self, mounted: Mounted) -> None:
        """Start the threads that take requests until the unmount; each puts its success into `_ended`.

        They are Python's own threads, since Python would create its thread state anew at each call from a
        thread of libfuse, which takes a fifth of the CPU of reading a GB.
        """
        for number in range(_THREADS):
            thread = threading.Thread(
                target=lambda: self._ended.put(self._library.loop(mounted)),
                name=f"fuse-{number}",
                daemon=True,
            )
            try:
                thread.start()
            except RuntimeError:
                # One thread is enough, since no operation blocks.
                if not self._started:
                    raise
                log.info("the system has no more threads to answer the kernel")
                break
            self._started += 1

    def _end(self) -> None:
        """Stop notifications, and fail all open requests.

        Libfuse's session is not freed before the process ends: a thread about to answer may still use it.
        """
        with self._lock:
            self._mounted = None
        self._requests.end(Closing("the file system is unmounted"))


def _begin_failed(error: BaseException) -> str:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return f"the mount could not begin: {reason}"
