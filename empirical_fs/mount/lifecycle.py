"""What to do when the kernel accepts a mount, when we unmount it, and when the kernel ends it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from empirical_fs import macos
from empirical_fs.errors import ConnectionAborted
from empirical_fs.mount import fusermount, kernel_read_ahead, mount_table
from empirical_fs.mount.captured_stderr import CapturedStderr
from empirical_fs.reading.open_files import Readers

_CONNECT_SECONDS = 10.0
_ABORTED = (
    "the kernel has ended the mount at {}, which nobody unmounted: a request was older than"
    " fs.fuse.max_request_timeout, or somebody wrote to /sys/fs/fuse/connections/N/abort"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """The mount point."""

    path: Path
    read_ahead: int
    """How many bytes the kernel may read ahead there."""


class Lifecycle:
    """Acts when the kernel accepts the mount, when we unmount it, and when the kernel ends it."""

    def __init__(
        self,
        readers: Readers,
        stderr: CapturedStderr,
        place: Place,
        ready: Callable[[], None],
    ) -> None:
        """Keep the parts: `unmount` stops `readers` first, and `ready` is called once the mount is there.

        Raises:
            OSError: the kernel's table of mounts could not be opened.
        """
        self._is_connected = threading.Event()
        self._path = place.path
        self._read_ahead = place.read_ahead
        self._mount: mount_table.Mount | None = None
        self._table = mount_table.HeldTable()
        self._readers = readers
        self._stderr = stderr
        self._ready = ready

    def connected(self) -> None:
        """Called once the kernel has accepted the mount, and before it gets the answer to its first request.

        So nothing here may use the mount: a process that asks itself cannot even be killed.
        """
        self._mount = mount_table.mount_at(self._path)
        if self._mount is not None:
            kib = kernel_read_ahead.widen(self._mount.device, self._read_ahead // 2**10)
            self._readers.kernel_window = kib * 2**10
        self._stderr.stop()
        self._ready()
        self._is_connected.set()

    def unmount(self) -> bool:
        """Stop all reads, and unmount; False if open files keep libfuse, and so the process, from ending.

        Raises:
            SetupError: it could not be unmounted.
        """
        self._is_connected.wait(_CONNECT_SECONDS)
        self._readers.close()
        if self.was_unmounted:
            return False  # another program has unmounted it; what is mounted there now is not ours
        try:
            fusermount.unmount(self._path)
        except fusermount.Busy:
            log.warning("%s is in use; unmounted under its users", self._path)
            fusermount.unmount(self._path, lazy=True)
            return False
        return True

    @property
    def was_unmounted(self) -> bool:
        """Whether the mount was there, and has been unmounted."""
        return self._mount is not None and not self._table.has(self._mount)

    @property
    def is_still_mounted(self) -> bool:
        """Whether the mount is in the kernel's table, which says nothing about whether it is served."""
        return self._mount is not None and self._table.has(self._mount)

    def see_to_end(self) -> None:
        """Called when the kernel sends no more requests: after an unmount, or as it has ended the connection.

        Raises:
            ConnectionAborted: the kernel has ended the connection; the mount has been unmounted.
            SetupError: the kernel has ended the connection, and the mount could not be unmounted.
        """
        if self.is_still_mounted and not macos.IS_MACOS:
            self.abandon()
            raise ConnectionAborted(_ABORTED.format(self._path))

    def abandon(self) -> None:
        """Unmount, lazily, a mount that no process serves any more.

        Raises:
            SetupError: it could not be unmounted.
        """
        if self.is_still_mounted:
            fusermount.unmount(self._path, lazy=True)
