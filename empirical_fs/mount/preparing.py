"""Checks the directory to mount on, and creates it if it is missing."""

import errno
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from empirical_fs.control.question import Silent
from empirical_fs.errors import SetupError
from empirical_fs.mount.fusermount import FUSE_DEVICE, unmount
from empirical_fs.mount.liveness import is_dead
from empirical_fs.mount.mount_table import mount_at

_ROOT = 0
_PROC, _ETC = Path("/proc"), Path("/etc")


def prepare(mountpoint: Path, *, nonempty: bool) -> tuple[Path, ...]:
    """Make the directory ready to be mounted on; returns the directories it created, the innermost first.

    A mount of ours whose process has ended is unmounted.

    Raises:
        SetupError: it cannot be mounted on.
    """
    with _in_words(mountpoint):
        _check_place(mountpoint)
        if _is_recoverable(mountpoint):
            unmount(mountpoint, lazy=True)
        if mountpoint.exists():
            _check_directory(mountpoint, nonempty=nonempty)
            return ()
        return _made(mountpoint)


def remove(made: Iterable[Path]) -> None:
    """Remove directories that we created, the innermost first; those that are not empty stay."""
    for each in made:
        with suppress(OSError):
            each.rmdir()


def foresee(mountpoint: Path, *, nonempty: bool) -> str:
    """Describe in a few words what `prepare` would find, without changing anything.

    Raises:
        SetupError: it cannot be mounted on.
    """
    with _in_words(mountpoint):
        _check_place(mountpoint)
        if _is_recoverable(mountpoint):
            return "a mount whose process is gone (see stale mounts)"
        if mountpoint.exists():
            _check_directory(mountpoint, nonempty=nonempty)
            return "a directory that can be mounted on"
        parent = next(each for each in mountpoint.parents if each.exists())
        if not parent.is_dir():
            raise SetupError(f"{parent} is not a directory")
        _check_writable(parent)
        return "not there yet; mounting makes it"


@contextmanager
def _in_words(mountpoint: Path) -> Iterator[None]:
    """Turn an OSError into a SetupError that users understand."""
    try:
        yield
    except PermissionError as error:
        what = f"no permission for {mountpoint}"
        raise SetupError(what, advice="choose a directory of your own") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise SetupError(
                f"{mountpoint} is on a read-only file system",
                advice="choose a directory that you can write to",
            ) from error
        raise SetupError(f"cannot use {mountpoint}: {error.strerror}") from error


def _is_recoverable(mountpoint: Path) -> bool:
    """Whether our mount is here and its process has ended, so that we may unmount it.

    Raises:
        SetupError: there is a mount that we must not unmount: another program's, or one that works or hangs.
    """
    mount = mount_at(mountpoint)
    if mount is None:
        return False
    try:
        has_no_process = is_dead(mountpoint)
    except Silent as error:
        if not mount.is_ours:
            raise SetupError(f"the {mount.kind} mount at {mountpoint} does not answer") from error
        raise SetupError(
            f"{mountpoint} is mounted already, and its process does not answer",
            advice=f"to take the mount away: empirical-mount -u --lazy {mountpoint}",
        ) from error
    if has_no_process:
        if not mount.is_ours:
            raise SetupError(
                f"a dead {mount.kind} mount is at {mountpoint}", advice=f"run: fusermount -u {mountpoint}"
            )
        return True
    if mount.is_ours:
        raise SetupError(
            f"{mountpoint} is mounted already", advice=f"to unmount it: empirical-mount -u {mountpoint}"
        )
    return False


def _check_directory(mountpoint: Path, *, nonempty: bool) -> None:
    if not mountpoint.is_dir():
        raise SetupError(f"{mountpoint} is not a directory")
    with os.scandir(mountpoint) as entries:
        if next(entries, None) is not None and not nonempty:
            raise SetupError(
                f"{mountpoint} is not empty", advice="choose an empty directory, or give -o nonempty"
            )
    # For users, fusermount requires a writable directory; root may mount on any, even if it is read-only.
    if os.geteuid() != _ROOT:
        _check_writable(mountpoint)


def _check_writable(directory: Path) -> None:
    if not os.access(directory, os.W_OK):
        is_read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, os.strerror(number))


def _check_place(mountpoint: Path) -> None:
    """Check that the mount would not cover files that its own process needs: it would wait for itself."""
    if mountpoint.is_relative_to(_PROC):
        raise SetupError(f"nothing can be mounted in {_PROC}", advice="choose another directory")
    ours = (
        sys.prefix,
        sys.base_prefix,
        Path(__file__).parents[1],
        shutil.which("fusermount3"),
        FUSE_DEVICE,
        _ETC,
    )
    for each in ours:
        if each is not None and Path(each).resolve().is_relative_to(mountpoint):
            raise SetupError(
                f"a mount on {mountpoint} would hide {each}, which it needs itself",
                advice="choose another directory",
            )


def _made(mountpoint: Path) -> tuple[Path, ...]:
    """Create the directory and its missing parents; returns all that were created, the innermost first."""
    missing = [each for each in (mountpoint, *mountpoint.parents) if not each.exists()]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            with suppress(FileExistsError):  # another process has created it meanwhile
                each.mkdir()
                made.insert(0, each)
    except OSError:
        remove(made)
        raise
    return tuple(made)
