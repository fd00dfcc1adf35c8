"""Parses the `-o` options: which are ours, which are libfuse's, and which only concern mount(8)."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from empirical_fs.errors import UsageError

FUSE_SUBTYPE = "empirical-mount"
"""The file system type in the mount table is `fuse.` and this: the program that `mount -t` would run."""
REMOTE_SUBTYPE = "sshfs"
"""The only FUSE type that file managers treat as remote (libfm-qt, issue 643)."""
SOURCE_PREFIX = "empirical:"
"""How the source in the mount table begins."""

_ALWAYS: dict[str, str | bool] = {
    "ro": True,
    "nosuid": True,
    "nodev": True,
    "default_permissions": True,
}
_CONTRARY = {"rw", "suid", "dev", "exec_suid"}
# Options for mount(8), fstab(5) and systemd.mount(5), which pass them on to the program nevertheless.
_FOR_MOUNT = {"defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev"}
_FOR_MOUNT_PREFIXES = ("x-", "X-", "comment=")
_OF_MOUNT_FUSE = {"rw", "dev", "suid"}
"""What mount.fuse(8) always passes, unless fstab(5) says the opposite."""
_OF_OWNERS = {"uid", "gid", "umask", "fmask", "dmask"}
NAMES = _FOR_MOUNT | _OF_OWNERS | {"remote", "nonempty"}
"""The options that are not libfuse's."""
_COMMA = re.compile(r"(?<!\\),")
"""A comma that ends an option; with a backslash before it, it is part of the value, as for libfuse."""
_KEYS = {"key", "api_key", "apikey", "empiricalrun_key", "token", "password"}
_NAME = re.compile(r"[a-z][a-z_-]{0,23}")
"""The form of an option's name. Other texts, and values, may be a key if they have `_KEY_MIN` characters."""
_KEY_MIN = 6
_IDENTITY = re.compile(r"[0-9]{1,10}")
_NO_IDENTITY = 2**32 - 1
_MASK = re.compile(r"0*[0-7]{1,3}")


@dataclass(frozen=True, slots=True)
class MountOptions:
    """The parsed options."""

    uid: int
    gid: int
    file_mask: int
    """The bits that are cleared in the mode of a file."""
    directory_mask: int
    """The bits that are cleared in the mode of the directory."""
    nonempty: bool
    """Whether to mount over a non-empty directory."""
    fuse: Mapping[str, str | bool]
    """The options for libfuse."""


def parse_mount_options(texts: Iterable[str]) -> MountOptions:
    """Parse the arguments of every `-o`, each a comma-separated list; a later option wins.

    Options that are neither ours nor mount(8)'s are passed to libfuse, which rejects unknown ones.

    Raises:
        UsageError: an option contradicts the nature of this file system, or has an invalid value.
    """
    given: dict[str, str | bool] = {}
    for item in split(texts):
        if item not in _FOR_MOUNT and not item.startswith(_FOR_MOUNT_PREFIXES):
            name, equals, value = item.partition("=")
            given[name] = value if equals else True
    for name in given:
        if name.lower().replace("-", "_") in _KEYS:
            raise UsageError(
                f"-o {name.lower()}: a key must not be given as an option, which every user can see",
                advice="write it into a file of its own, and its name as key_file=",
            )
    contrary = sorted(_CONTRARY & set(given))
    if contrary:
        raise UsageError(
            f"-o {contrary[0]}: the mount is always read-only, without devices and set-uid programs"
        )
    remote = given.pop("remote", None)
    if remote is not None and "fsname" in given:
        raise UsageError("-o remote does not go with fsname, by which the mount is known to be ours")
    umask = _mask(given, "umask", _process_umask())
    return MountOptions(
        uid=_number(given, "uid", os.getuid()),
        gid=_number(given, "gid", os.getgid()),
        file_mask=_mask(given, "fmask", umask),
        directory_mask=_mask(given, "dmask", umask),
        nonempty="nonempty" in given,
        fuse={**given, **_ALWAYS, "subtype": FUSE_SUBTYPE if remote is None else REMOTE_SUBTYPE},
    )


def without_values(said: str, options: Mapping[str, str | bool]) -> str:
    """libfuse's message `said` about `options`, without values and names that may be keys."""
    for name, value in options.items():
        shown = name if _NAME.fullmatch(name) or len(name) < _KEY_MIN else "..."
        if isinstance(value, str) and len(value) >= _KEY_MIN:
            said = said.replace(f"{name}={value}", f"{shown}=...")
        said = said.replace(name, shown)
    return said


def split(texts: Iterable[str]) -> list[str]:
    """The single options in the arguments of every `-o`, each a comma-separated list."""
    items = (item for text in texts for item in _COMMA.split(text))
    return [item.replace("\\,", ",") for item in items if item]


def of_mount_command(texts: Iterable[str]) -> list[str]:
    """The single options that mount.fuse(8) passed, without those that it adds by itself."""
    return [item for item in split(texts) if item not in _OF_MOUNT_FUSE]


def _number(given: dict[str, str | bool], name: str, default: int) -> int:
    value = given.pop(name, str(default))
    # The highest number means "leave unchanged" to chown(2), so no user has it.
    if not isinstance(value, str) or not _IDENTITY.fullmatch(value) or int(value) >= _NO_IDENTITY:
        raise UsageError(f"-o {name} takes a number, for example {name}={default}")
    return int(value)


def _mask(given: dict[str, str | bool], name: str, default: int) -> int:
    value = given.pop(name, None)
    if value is None:
        return default
    if not isinstance(value, str) or not _MASK.fullmatch(value):
        raise UsageError(f"-o {name} takes an octal number, for example {name}=077")
    return int(value, 8)


def _process_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
