"""The mount options: which libfuse takes, which the connection to the kernel, and which we act on ourselves.

Users give what libfuse's high-level API knows, as they do to every mount program (fuse(8)). The low-level API
leaves some of these to the file system.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.errors import UsageError
from empirical_fs.fuse.library import Library

_OF_THE_KERNEL_CACHE = {"entry_timeout", "attr_timeout", "negative_timeout"}
"""Seconds, which go into our answers."""
_MEANINGLESS = {
    # The numbers of inodes, and what the kernel may keep of them, are what they are.
    *("use_ino", "readdir_ino", "kernel_cache", "auto_cache", "noauto_cache", "ac_attr_timeout"),
    *("noforget", "remember", "nopath", "hard_remove"),
    # Interruptions, and threads: both work whatever these say.
    *("intr", "intr_signal", "clone_fd", "max_idle_threads", "max_threads"),
}
_GONE = {"nonempty", "big_writes", "large_read"}
"""Options of libfuse 2 for what is always so with libfuse 3 (its ChangeLog.rst, 3.0.0)."""
_OF_THE_CONNECTION = {"max_background", "congestion_threshold", "max_readahead", "max_write", "max_read"}
"""Options of libfuse 2 that libfuse 3 leaves to the file system (struct fuse_conn_info in fuse_common.h)."""
_ALSO_OF_THE_MOUNT = {"max_read"}
"""Of these libfuse 3 wants to be told as well, and the same."""
_OF_THE_SYSTEM = {
    *("allow_other", "allow_root", "auto_unmount", "default_permissions", "fsname", "subtype", "debug"),
    *("ro", "nosuid", "nodev", "exec", "noexec", "async", "sync", "dirsync", "atime", "noatime"),
    *("nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime"),
}
"""What libfuse takes itself, or hands to the kernel (fuse_i.h and mount.c of libfuse 3)."""
NAMES = _OF_THE_KERNEL_CACHE | _MEANINGLESS | _GONE | _OF_THE_CONNECTION | _OF_THE_SYSTEM | {"direct_io"}
"""What may be given, to find what was meant by one that is misspelt; libfuse may know more."""
_OF_THE_HIGH_LEVEL = "modules"
_NUMBERS = {"remember", "intr_signal", "max_idle_threads", "max_threads"}
_NUMBER = re.compile(r"-?[0-9]{1,10}")
_NUMBER_MAX = 2**31 - 1
_SECONDS_MAX = 2.0**31


@dataclass(frozen=True, slots=True)
class FuseOptions:
    """What the options of one mount come to."""

    text: str
    """What libfuse is given after -o."""
    connection: Mapping[str, int]
    """Fields of its `struct fuse_conn_info`."""
    entry_seconds: float
    """How long the kernel may keep what a name means."""
    attribute_seconds: float
    """How long it may keep attributes."""
    missing_seconds: float
    """How long it may keep that a name means nothing; 0: not at all."""
    is_direct: bool
    """Whether reads go past the page cache."""


def fuse_options(
    library: Library, given: Mapping[str, str | bool], entry_seconds: float, attribute_seconds: float
) -> FuseOptions:
    """The options of a mount; `entry_seconds` and `attribute_seconds` are the defaults.

    Raises:
        UsageError: an option has a bad value.
    """
    if _OF_THE_HIGH_LEVEL in given:
        raise UsageError(f"-o {_OF_THE_HIGH_LEVEL}: libfuse's modules cannot be stacked on this file system")
    ours = _OF_THE_KERNEL_CACHE | _MEANINGLESS | {"direct_io"}
    connection: dict[str, int] = {}
    if library.major > 2:  # noqa: PLR2004 - libfuse 2 takes them all
        ours |= _GONE | (_OF_THE_CONNECTION - _ALSO_OF_THE_MOUNT)
        connection = {name: _number(name, given[name]) for name in sorted(_OF_THE_CONNECTION & given.keys())}
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
    """A value as libfuse takes it, for which a comma ends it and a backslash does not stand for itself."""
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
    # libfuse takes less than nothing for nothing (calc_timeout_sec in fuse_lowlevel.c).
    return min(max(seconds, 0.0), _SECONDS_MAX)
