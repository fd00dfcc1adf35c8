"""The `-o` options: which are ours, which libfuse's, and which only concern mount(8)."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from empirical_fs.errors import UsageError

FUSE_SUBTYPE = "empirical-mount"
"""The type in the table of mounts is `fuse.` and this: the program that `mount -t` would run."""
REMOTE_SUBTYPE = "sshfs"
"""The only one of FUSE that file managers take for remote (libfm-qt, issue 643)."""
SOURCE_PREFIX = "empirical:"
"""The source in the table of mounts begins so."""

_ALWAYS: dict[str, str | bool] = {
    "ro": True,
    "nosuid": True,
    "nodev": True,
    "default_permissions": True,
}
_CONTRARY = {"rw", "suid", "dev", "exec_suid"}
# What mount(8), fstab(5) and systemd.mount(5) read themselves and hand on to the program all the same.
_FOR_MOUNT = {"defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev"}
_FOR_MOUNT_PREFIXES = ("x-", "X-", "comment=")
_OF_MOUNT_FUSE = {"rw", "dev", "suid"}
"""What mount.fuse(8) says whoever asks, unless fstab(5) has the contrary."""
_OF_OWNERS = {"uid", "gid", "umask", "fmask", "dmask"}
NAMES = _FOR_MOUNT | _OF_OWNERS | {"remote", "nonempty"}
"""What may be given and is not libfuse's."""
_COMMA = re.compile(r"(?<!\\),")
"""One that ends an option; a backslash before it makes it part of the value, as for libfuse."""
_KEYS = {"key", "api_key", "apikey", "empiricalrun_key", "token", "password"}
_NAME = re.compile(r"[a-z][a-z_-]{0,23}")
"""How options are called; what is not, or is a value, may be a key if it has as many characters:"""
_KEY_MIN = 6
_IDENTITY = re.compile(r"[0-9]{1,10}")
_NO_IDENTITY = 2**32 - 1
_MASK = re.compile(r"0*[0-7]{1,3}")


@dataclass(frozen=True, slots=True)
class MountOptions:
    """What the options come to."""

    uid: int
    gid: int
    file_mask: int
    """The bits that the mode of a file does not have."""
    directory_mask: int
    """The same of the directory."""
    nonempty: bool
    """Whether to mount over a directory that has files in it."""
    fuse: Mapping[str, str | bool]
    """The options for libfuse."""


def parse_mount_options(texts: Iterable[str]) -> MountOptions:
    """Read the arguments of every `-o`, each a list with commas; a later one wins.

    Options that are neither ours nor mount(8)'s are for libfuse, which refuses those that it does not know.

    Raises:
        UsageError: an option contradicts what this file system is, or has a bad value.
    """
    given: dict[str, str | bool] = {}
    for item in split(texts):
        if item not in _FOR_MOUNT and not item.startswith(_FOR_MOUNT_PREFIXES):
            name, equals, value = item.partition("=")
            given[name] = value if equals else True
    for name in given:
        if name.lower().replace("-", "_") in _KEYS:
            raise UsageError(
                f"-o {name.lower()}: a key is no option, which everybody could see",
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
    """What libfuse said of `options`, without values and names that may be keys."""
    for name, value in options.items():
        shown = name if _NAME.fullmatch(name) or len(name) < _KEY_MIN else "..."
        if isinstance(value, str) and len(value) >= _KEY_MIN:
            said = said.replace(f"{name}={value}", f"{shown}=...")
        said = said.replace(name, shown)
    return said


def split(texts: Iterable[str]) -> list[str]:
    """The options in the arguments of every `-o`, each a list with commas."""
    items = (item for text in texts for item in _COMMA.split(text))
    return [item.replace("\\,", ",") for item in items if item]


def of_mount_command(texts: Iterable[str]) -> list[str]:
    """The options in the arguments of every `-o` by mount.fuse(8), without what nobody asked for."""
    return [item for item in split(texts) if item not in _OF_MOUNT_FUSE]


def _number(given: dict[str, str | bool], name: str, default: int) -> int:
    value = given.pop(name, str(default))
    # The highest number means "leave as it is" to chown(2), and nobody has it.
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
