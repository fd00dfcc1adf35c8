"""What happens when the kernel accepts a mount, and when it lets go of it."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from empirical_fs import macos
from empirical_fs.errors import ConnectionAborted
from empirical_fs.mount import kernel_read_ahead, mount_table
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
    """Where the mount comes, and whether the kernel is to read further ahead there."""

    path: Path
    widens: bool


class Lifecycle:
    """What happens when the kernel accepts the mount, and when it lets go of it."""

    def __init__(
        self,
        readers: Readers,
        stderr: CapturedStderr,
        place: Place,
        ready: Callable[[], None],
    ) -> None:
        """Have `readers` stop before an unmount, and tell `ready` once the mount is there.

        Raises:
            OSError: the table of mounts could not be opened.
        """
        self._is_connected = threading.Event()
        self._path = place.path
        self._widens = place.widens
        self._mount: mount_table.Mount | None = None
        self._table = mount_table.HeldTable()
        self._readers = readers
        self._stderr = stderr
        self._ready = ready

    def connected(self) -> None:
        """The kernel has accepted the mount."""
        self._mount = mount_table.mount_at(self._path)
        if self._mount is not None and self._widens:
            widen = threading.Thread(
                target=self._widen, args=(self._mount.device,), name="read-ahead", daemon=True
            )
            try:
                widen.start()
            except RuntimeError as error:
                log.info("the kernel reads 128 KiB ahead: %s", error)
        self._stderr.stop()
        self._ready()
        self._is_connected.set()

    def _widen(self, device: str) -> None:
        # The kernel narrows it again when it has the answer to FUSE_INIT; whatever it asks comes after that.
        with suppress(OSError):
            os.statvfs(self._path)
        self._readers.kernel_window = kernel_read_ahead.widen(device) * 2**10

    def unmount(self) -> bool:
        """Have every reader stop, and take the mount away; False if its users keep the process from ending.

        Raises:
            SetupError: it could not be taken away.
        """
        self._is_connected.wait(_CONNECT_SECONDS)
        self._readers.close()
        if self.was_unmounted:
            return False  # somebody was faster; what is mounted there now is not ours
        try:
            mount_table.unmount(self._path)
        except mount_table.Busy:
            log.warning("%s is in use; unmounted under its users", self._path)
            mount_table.unmount(self._path, lazy=True)
            return False
        return True

    @property
    def was_unmounted(self) -> bool:
        """Whether the mount was there, and somebody has taken it away."""
        return self._mount is not None and not self._table.has(self._mount)

    @property
    def is_still_mounted(self) -> bool:
        """Whether the mount is there, although nobody is asked for it any more."""
        return self._mount is not None and self._table.has(self._mount)

    def see_to_end(self) -> None:
        """The kernel asks nothing any more: it has unmounted this, or else it gave up the connection.

        Raises:
            ConnectionAborted: that, and the mount is taken away.
            SetupError: that, and it could not be taken away.
        """
        if self.is_still_mounted and not macos.IS_MACOS:
            self.abandon()
            raise ConnectionAborted(_ABORTED.format(self._path))

    def abandon(self) -> None:
        """Take away the mount, for which nobody answers any more, from under its users.

        Raises:
            SetupError: it could not be taken away.
        """
        if self.is_still_mounted:
            mount_table.unmount(self._path, lazy=True)
