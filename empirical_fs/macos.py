"""What differs on macOS, with macFUSE or FUSE-T. The developers have not run it there."""

import errno
import sys
from collections.abc import Mapping

IS_MACOS = sys.platform == "darwin"

NO_ATTRIBUTE = 93 if IS_MACOS else errno.ENODATA
"""The errno for a missing extended attribute: on macOS ENOATTR, for which Python has no name."""

_UNKNOWN = {"subtype", "nonempty", "max_background"}
_ADDED: dict[str, str | bool] = {
    # Without these, Finder looks for a second file (._NAME) beside each file, and for its own attributes.
    "noappledouble": True,
    "noapplexattr": True,
}


def fuse_options(options: Mapping[str, str | bool], volume: str) -> dict[str, str | bool]:
    """Convert options for libfuse on Linux to those of macFUSE (its wiki, Mount Options).

    Finder shows the mount under the name `volume`.
    """
    known = {name: value for name, value in options.items() if name not in _UNKNOWN}
    # A comma in the name would begin another option.
    return {"volname": volume.replace(",", " "), **_ADDED, **known}


def unmount_command(mountpoint: str, *, lazy: bool) -> list[str]:
    """The command that unmounts; macOS has no lazy unmount, so that is forced instead (umount(8))."""
    return ["umount", *(["-f"] if lazy else []), mountpoint]
