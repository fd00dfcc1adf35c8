"""Sorts the mount options: those for libfuse, those for the kernel connection, and those handled here.

Users give the options of libfuse's high-level API, as with every FUSE program (fuse(8)). The low-level API
leaves some of these to the file system.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.errors import UsageError
from empirical_fs.fuse.library import Library

_OF_THE_KERNEL_CACHE = {"entry_timeout", "attr_timeout", "negative_timeout"}
"""Cache times in seconds, which are part of our answers."""
_MEANINGLESS = {
    # Inode numbers, and how long the kernel caches inodes, cannot be chosen in this file system.
    *("use_ino", "readdir_ino", "kernel_cache", "auto_cache", "noauto_cache", "ac_attr_timeout"),
    *("noforget", "remember", "nopath", "hard_remove"),
    # Interruptions and threads work the same with any of these.
    *("intr", "intr_signal", "clone_fd", "max_idle_threads", "max_threads"),
}
_GONE = {"nonempty", "big_writes", "large_read"}
"""Options of libfuse 2 for behaviour that libfuse 3 always has (its ChangeLog.rst, 3.0.0)."""
_OF_THE_CONNECTION = {"max_background", "congestion_threshold", "max_readahead", "max_write", "max_read"}
"""Options of libfuse 2 that libfuse 3 leaves to the file system (struct fuse_conn_info in fuse_common.h)."""
_LOWERED_BY_LIBFUSE = {"max_readahead"}
"""Those of them that libfuse 2 takes as options, too, but lowers to what the kernel had when it mounted."""
_ALSO_OF_THE_MOUNT = {"max_read"}
"""Those of them that libfuse 3 also needs as a mount option, with the same value."""
_OF_THE_SYSTEM = {
    *("allow_other", "allow_root", "auto_unmount", "default_permissions", "fsname", "subtype", "debug"),
    *("ro", "nosuid", "nodev", "exec", "noexec", "async", "sync", "dirsync", "atime", "noatime"),
    *("nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
}
"""Options that libfuse handles itself, or passes to the kernel (fuse_i.h and mount.c of libfuse 3)."""
NAMES = _OF_THE_KERNEL_CACHE | _MEANINGLESS | _GONE | _OF_THE_CONNECTION | _OF_THE_SYSTEM | {"direct_io"}
"""The known options, for suggestions when one is misspelt; libfuse may know more."""
_OF_THE_HIGH_LEVEL = "modules"
_NUMBERS = {"remember", "intr_signal", "max_idle_threads", "max_threads"}
_NUMBER = re.compile(r"-?[0-9]{1,10}")
_NUMBER_MAX = 2**31 - 1
_SECONDS_MAX = 2.0**31


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """The sorted options of one mount."""

    text: str
    """The options for libfuse, as after -o."""
    connection: Mapping[str, int]
    """Fields of libfuse's `struct fuse_conn_info` to set."""
    entry_seconds: float
    """How many seconds the kernel may cache the result of a lookup."""
    attribute_seconds: float
    """How many seconds it may cache attributes."""
    missing_seconds: float
    """How many seconds it may cache that a name does not exist; 0: not at all."""
    is_direct: bool
    """Whether reads bypass the page cache."""
    backing_depth: int | None = None
    """How deep the file system of files that the kernel is to read by itself is stacked: 0, or 1 for
    overlayfs; None if it is not to read any."""


def fuse_options(
    library: Library, given: Mapping[str, str | bool], entry_seconds: float, attribute_seconds: float
) -> FuseOptions:
    """Sort the `given` options of a mount; `entry_seconds` and `attribute_seconds` are the defaults.

    Raises:
        UsageError: an option has a bad value.
    """
    if _OF_THE_HIGH_LEVEL in given:
        raise UsageError(f"-o {_OF_THE_HIGH_LEVEL}: libfuse's modules cannot be stacked on this file system")
    ours = _OF_THE_KERNEL_CACHE | _MEANINGLESS | {"direct_io"}
    of_the_connection = _LOWERED_BY_LIBFUSE
    if library.major > 2:  # noqa: PLR2004 - libfuse 2 takes them all
        ours |= _GONE | (_OF_THE_CONNECTION - _ALSO_OF_THE_MOUNT)
        of_the_connection = _OF_THE_CONNECTION
    connection = {name: _number(name, given[name]) for name in sorted(of_the_connection & given.keys())}
    for name in sorted(_NUMBERS & given.keys()):
        _number(name, given[name], least=-1)
    _seconds(given, "ac_attr_timeout", 0.0)
    words = [
        name if value is True else f"{name}={_escaped(str(value))}"
        for name, value in given.items()
        if name not in ours
    ]
    return FuseOptions(
        text=",".join(words),
        connection=connection,
        entry_seconds=_seconds(given, "entry_timeout", entry_seconds),
        attribute_seconds=_seconds(given, "attr_timeout", attribute_seconds),
        missing_seconds=_seconds(given, "negative_timeout", 0.0),
        is_direct="direct_io" in given,
    )


def _escaped(value: str) -> str:
    """A value with libfuse's escapes for commas, which would end it, and backslashes."""
    return value.replace("\\", "\\\\").replace(",", "\\,")


def _number(name: str, value: object, least: int = 0) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or not least <= int(value) <= _NUMBER_MAX:
        raise UsageError(f"-o {name} takes a number")
    return int(value)


def _seconds(given: Mapping[str, object], name: str, default: float) -> float:
    value = given.get(name)
    if value is None:
        return default
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds) or "_" in str(value) or not str(value).isascii():
        raise UsageError(f"-o {name} takes a number of seconds")
    # libfuse treats negative values as 0 (calc_timeout_sec in fuse_lowlevel.c).
    return min(max(seconds, 0.0), _SECONDS_MAX)
