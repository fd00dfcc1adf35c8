"""A lock by which only one process at a time may mount on a directory; it leaves no file behind.

The lock is on the directory itself, which the mount will cover. A process that opens the path before the
mount opens the same directory, and finds it locked; one that opens it later finds the mount in the kernel's
table.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from empirical_fs.errors import SetupError
from empirical_fs.mount import fusermount, liveness, mount_table, preparing

_LOCKS = Path("/proc/locks")
_TRIES = 5
_TURN_SECONDS, _PAUSE = 5.0, 0.02


class MountLock:
    """A locked directory that is ready to be mounted on.

    A child process inherits the lock by fork(2); it lasts until both processes have released it or ended.
    """

    def __init__(self, place: Path, descriptor: int, made: tuple[Path, ...]) -> None:
        """Keep the descriptor that holds the lock, and the directories we created, the innermost first."""
        self._place = place
        self._made = made
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock: the mount is in the kernel's table now, where other processes find it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def undo(self) -> None:
        """Clean up after a mount that failed: unmount it if it has no process, remove what we created."""
        with contextlib.suppress(SetupError, OSError):
            top = mount_table.mount_at(self._place)
            if top is not None and top.is_ours and liveness.is_dead(self._place):
                fusermount.unmount(self._place, lazy=True)
        preparing.remove(self._made)
        self.release()


def lock_for_mount(place: Path, *, nonempty: bool) -> MountLock:
    """Prepare the directory, and lock it so that only this process may mount on it.

    Raises:
        SetupError: it cannot be mounted on, or another process is about to mount on it.
    """
    made: tuple[Path, ...] = ()
    with _turn(place.parent):
        for _ in range(_TRIES):
            made = preparing.prepare(place, nonempty=nonempty) or made
            descriptor = _open(place)
            try:
                if not _lock(descriptor):
                    what = f"{place} is being mounted on by {_holder(descriptor)}"
                    raise SetupError(what, advice="wait until that has ended")
                # Before we had the lock, it may have been mounted on, or replaced by another directory.
                again = preparing.prepare(place, nonempty=nonempty)
                if not again and os.path.samestat(place.stat(), os.fstat(descriptor)):
                    return MountLock(place, descriptor, made)
                made = again or made
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    raise SetupError(f"{place} changes all the time", advice="try again")


def _open(place: Path) -> int:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SetupError(f"cannot use {place}: {error.strerror}") from error


def _lock(descriptor: int) -> bool:
    """Lock the directory; False if another process has. Some network file systems have no locks: True."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _holder(descriptor: int) -> str:
    """The process that holds the lock, found by inode number in the kernel's table of locks (proc(5))."""
    inode = str(os.fstat(descriptor).st_ino)
    with contextlib.suppress(OSError):
        for line in _LOCKS.read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == inode and int(fields[4]) > 0:
                return f"process {fields[4]}"
    return "another process"


@contextmanager
def _turn(parent: Path) -> Iterator[None]:
    """Lock the parent directory, so that one process at a time unmounts a dead mount and mounts again.

    Otherwise a second process might unmount the new mount of the first. If the lock is not free within
    `_TURN_SECONDS`, go on without it: another program may hold it for other reasons.
    """
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # the parent does not exist yet, or we may not read it
        return
    try:
        deadline = time.monotonic() + _TURN_SECONDS
        while not _lock(descriptor) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)
