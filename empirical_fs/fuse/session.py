"""A mount: threads that take the kernel's requests until it is gone, and what the kernel is told beside."""

import errno
import logging
import os
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

_THREADS = 4
"""Threads that take requests. None of them ever waits, so that they serve any number of readers."""

log = logging.getLogger(__name__)


class MountFailed(SetupError):
    """Libfuse could not mount, and has said why on stderr."""


class LibfuseFailed(SetupError):
    """Libfuse could not go on; the mount, if it is still there, has nobody who answers."""


class Operations(Protocol):
    """What answers: a method for each operation, which takes the request and what libfuse gives."""

    def new_request(
        self, requests: OpenRequests, raw: int, operation: str, words: tuple[Any, ...]
    ) -> Request:
        """The request that an operation begins with."""

    def failed(self, operation: str, request: Request, error: BaseException) -> None:
        """An operation has raised: answer the request, if it is still open."""

    def connected(self) -> None:
        """The kernel has accepted the mount."""


class Place(Protocol):
    """The directory to mount on."""

    def entered(self) -> AbstractContextManager[str]:
        """Be where it has the name that is given, which leads nowhere else."""

    def check_mounted(self) -> None:
        """See that the mount is where it should be; raises SetupError, without a mount, if it is not."""

    def abandon(self) -> None:
        """Take away the mount, for which nobody answers."""

    def release(self) -> None:
        """It is not needed any more."""


class Session:
    """One mount of the low-level API.

    The lock guards whether the kernel may still be told anything; it is held while it is told, so that
    nobody tells a mount that is gone.
    """

    def __init__(self, library: Library, timer: Timer) -> None:
        """Not mounted yet; `timer`, which has the deadlines, is started with the mount."""
        self._library = library
        self._timer = timer
        self._requests = OpenRequests(library, timer)
        self._lock = threading.Lock()
        self._mounted: Mounted | None = None
        self._kept: list[Any] = []
        self._ended = SimpleQueue[bool]()
        self._failed_begin: list[BaseException] = []
        self._started = 0

    def serve(self, operations: Operations, place: Place, options: FuseOptions) -> None:
        """Mount and answer the kernel until the file system is unmounted.

        Raises:
            MountFailed: libfuse cannot mount.
            SetupError: what is at the place is not what it was.
            NoThread: nobody can serve it.
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
        """Have the kernel look a name up again. Never from an operation: the kernel may wait for that."""
        self._notify(lambda mounted: self._library.invalidate_entry(mounted, name.encode()))

    def drop_attributes(self, number: int) -> None:
        """Have the kernel ask for the attributes of an inode again; as `drop_entry`."""
        self._notify(lambda mounted: self._library.invalidate_inode(mounted, number, -1))

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        """Have the kernel drop attributes and pages; whether it holds none now. As `drop_entry`.

        Those of `size` bytes from `start` on, or all of them to the end.
        """
        return self._notify(lambda mounted: self._library.invalidate_inode(mounted, number, start, size))

    def _notify(self, tell: Callable[[Mounted], int]) -> bool:
        with self._lock:
            if self._mounted is None:
                return False
            result = -tell(self._mounted)
        if result not in (0, errno.ENOENT):
            log.debug("the kernel was not told of a change: %s", os.strerror(result))
            return False
        return True

    def _table(self, operations: Operations, options: FuseOptions) -> Any:
        """`struct fuse_lowlevel_ops` with callbacks for the methods of `operations` that libfuse knows."""
        table = self._library.operations()
        for name, *_ in table._fields_:
            handle = getattr(operations, name, None)
            if handle is not None and self._library.serves(name):
                setattr(table, name, self._library.callback(name, self._answering(name, handle, operations)))

        def init(_data: int, connection: int) -> None:
            try:
                self._library.negotiate(connection, options.connection)
                operations.connected()
            except BaseException as error:  # noqa: BLE001 - handed to who waits for the end
                self._failed_begin.append(error)
                self._ended.put(False)  # noqa: FBT003 - as if a thread had failed

        table.init = self._library.callback("init", init)
        return table

    def _answering(
        self, name: str, handle: Callable[..., None], operations: Operations
    ) -> Callable[..., None]:
        """The callback of one operation, which leaves no request without an answer and raises nothing."""
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
        """Have threads take requests until the mount is gone; each tells `_ended` whether libfuse went well.

        Threads of Python's own, which stay: of those that libfuse makes, Python would have to make up its
        state anew for each, which takes a fifth of the CPU of a GB.
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
                # One is enough to serve, for none of them waits.
                if not self._started:
                    raise
                log.info("the system has no more threads to answer the kernel by")
                break
            self._started += 1

    def _end(self) -> None:
        """Nothing is answered any more.

        Libfuse's session is left to the end of the process: whoever is about to answer may still use it.
        """
        with self._lock:
            self._mounted = None
        self._requests.end(Closing("the file system is unmounted"))


def _begin_failed(error: BaseException) -> str:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return f"the mount could not begin: {reason}"
