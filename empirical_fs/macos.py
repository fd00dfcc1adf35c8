"""What differs on macOS, with macFUSE or FUSE-T; its developers have not run it there."""

import errno
import sys
from collections.abc import Mapping

IS_MACOS = sys.platform == "darwin"

NO_ATTRIBUTE = 93 if IS_MACOS else errno.ENODATA
"""The errno for an extended attribute that is not there: ENOATTR on macOS, which Python has no name for."""

_UNKNOWN = {"subtype", "nonempty", "max_background"}
_ADDED: dict[str, str | bool] = {
    # Finder would look for a second file beside each one, and for attributes that nobody has.
    "noappledouble": True,
    "noapplexattr": True,
}


def fuse_options(options: Mapping[str, str | bool], volume: str) -> dict[str, str | bool]:
    """Options for libfuse on Linux, as macFUSE knows them (its wiki, Mount Options).

    Finder shows the mount as `volume`.
    """
    known = {name: value for name, value in options.items() if name not in _UNKNOWN}
    # A comma would begin another option.
    return {"volname": volume.replace(",", " "), **_ADDED, **known}


def unmount_command(mountpoint: str, *, lazy: bool) -> list[str]:
    """The command that takes a mount away; in place of a lazy one, by force (umount(8))."""
    return ["umount", *(["-f"] if lazy else []), mountpoint]
