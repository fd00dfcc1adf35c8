"""The right to mount on a directory, which one process at a time has: a lock that leaves no file behind.

The lock is on the directory itself, under what will be mounted on it: whoever opens the path before that
opens the same directory, and whoever opens it later finds the mount in the kernel's table.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from empirical_fs.errors import SetupError
from empirical_fs.mount import mount_table, preparing

_LOCKS = Path("/proc/locks")
_TRIES = 5
_TURN_SECONDS, _PAUSE = 5.0, 0.02


class Claim:
    """A directory that is ready to be mounted on, and nobody else's until it is released.

    Whoever inherits it by a fork has it too, until both have released it or ended.
    """

    def __init__(self, place: Path, descriptor: int, made: tuple[Path, ...]) -> None:
        """Keep the directory that is locked, and what was made for this, the innermost first."""
        self._place = place
        self._made = made
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others mount here: the mount is in the kernel's table, where they find it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def undo(self) -> None:
        """Nothing was mounted: take away what was made, and a mount of ours that has no process."""
        with contextlib.suppress(SetupError, OSError):
            top = mount_table.mount_at(self._place)
            if top is not None and top.is_ours and mount_table.is_dead(self._place):
                mount_table.unmount(self._place, lazy=True)
        preparing.remove(self._made)
        self.release()


def claim(place: Path, *, nonempty: bool) -> Claim:
    """Make the directory ready to be mounted on by this process alone.

    Raises:
        SetupError: it cannot be mounted on, or somebody else is about to.
    """
    made: tuple[Path, ...] = ()
    with _turn(place.parent):
        for _ in range(_TRIES):
            made = preparing.prepare(place, nonempty=nonempty) or made
            descriptor = _open(place)
            try:
                if not _lock(descriptor):
                    what = f"{place} is being mounted on by {_holder(descriptor)}"
                    raise SetupError(what, advice="wait for that")
                # Meanwhile it may have been mounted on, or another directory may have come to its place.
                again = preparing.prepare(place, nonempty=nonempty)
                if not again and os.path.samestat(place.stat(), os.fstat(descriptor)):
                    return Claim(place, descriptor, made)
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
    """Whether the lock is ours, or there are no locks here, as on some network file systems."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _holder(descriptor: int) -> str:
    """Who has the lock, by the kernel's table of locks (proc(5)), which has the numbers of inodes."""
    inode = str(os.fstat(descriptor).st_ino)
    with contextlib.suppress(OSError):
        for line in _LOCKS.read_text(encoding="utf-8").splitlines():
            fields = line.split()
            if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == inode and int(fields[4]) > 0:
                return f"process {fields[4]}"
    return "another process"


@contextmanager
def _turn(parent: Path) -> Iterator[None]:
    """Keep others from the same while a dead mount is taken away, which they might do to the next one.

    Not for longer than it takes: who has the lock for other reasons holds nobody up.
    """
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # it is to be made, or cannot be listed
        return
    try:
        deadline = time.monotonic() + _TURN_SECONDS
        while not _lock(descriptor) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)
