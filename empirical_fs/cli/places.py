"""Resolves the paths that a user gives without access to a mount, whose process may hang."""

import re
from collections.abc import Iterable
from pathlib import Path

from empirical_fs.errors import SetupError
from empirical_fs.mount import liveness, mount_table
from empirical_fs.mount.resolving import resolved

_OF_MOUNT_FUSE = re.compile("/dev/fd/[0-9]+")


def place_of(path: str) -> Path:
    """The absolute path without symbolic links and `~` for a path that the user gave.

    Raises:
        SetupError: it begins with `~` and no home directory is known, it cannot be resolved, or mount.fuse
            has mounted already.
    """
    if _OF_MOUNT_FUSE.fullmatch(path):
        # mount.fuse3(8) has opened the device and mounted it, and hands on its descriptor.
        raise SetupError("it must mount by itself", advice="leave out the mount option drop_privileges")
    try:
        whole = Path(path).expanduser()
    except RuntimeError as error:
        what = f"no home directory is known for {path}"
        raise SetupError(what, advice="write the whole path") from error
    return resolved(whole, [each.mountpoint for each in mount_table.ours()])


def check_ways(paths: Iterable[str | Path | None]) -> None:
    """Check that no path leads into a mount that hangs: access to such a path would hang, too.

    Raises:
        SetupError: a path leads into a mount that does not answer.
    """
    liveness.check_answers([place_of(str(path)) for path in paths if path is not None])
