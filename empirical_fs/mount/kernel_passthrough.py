"""Finds out beforehand whether the kernel can read cached files by itself (passthrough), and if not, why."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from empirical_fs import macos
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.mount.mount_table import kind_of

CACHE_OFF = "the cache on disk is off"

_PROC = Path("/proc/self")
_CAPABILITIES = re.compile(r"^CapEff:\s*([0-9a-f]+)$", re.MULTILINE)
_SYS_ADMIN = 1 << 21
"""The bit of CAP_SYS_ADMIN (linux/capability.h)."""
_ALL_USERS = ["0", "0", "4294967295"]
"""What the first user namespace has in its uid_map (user_namespaces(7)); only its privileges count here."""
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_FIRST_KERNEL = (6, 9)
_STACKED = {"overlay", "ecryptfs"}
"""File systems that keep their files in another one."""
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "lustre", "gpfs"}
_REMOTE_PREFIX = "fuse."


@dataclass(frozen=True, slots=True)
class Machine:
    """What matters of this machine."""

    libfuse: int
    """Its version: for example 314 for 3.14."""
    has_libfuse: bool
    """Whether that is new enough."""
    kernel: str
    """The release of the kernel, as `uname -r` has it."""
    is_privileged: bool
    """Whether this process has CAP_SYS_ADMIN where it counts."""


def machine(library: Library) -> Machine:
    """This machine, and this process, with the libfuse that is used."""
    return Machine(library.version, library.has_passthrough, os.uname().release, _is_privileged(_PROC))


def refusal(here: Machine, cache: Path | None, *, is_direct: bool) -> str | None:
    """Why the kernel cannot read files by itself, in a few words; None if it probably can.

    Args:
        here: the machine.
        cache: the folder of the cache on disk; None if that is off.
        is_direct: whether all programs read past the page cache (-o direct_io).
    """
    if cache is None:
        return CACHE_OFF
    return lacking(here, is_direct=is_direct) or unfit(_kind(cache))


def lacking(here: Machine, *, is_direct: bool) -> str | None:
    """As `refusal`, apart from the cache. Policy."""
    if not here.has_libfuse:
        return f"libfuse {_version(here.libfuse)} does not have it; 3.17 does"
    release = _RELEASE.match(here.kernel)
    if macos.IS_MACOS or release is None:
        return "the kernel does not have it; Linux does from 6.9 on"
    if (int(release[1]), int(release[2])) < _FIRST_KERNEL:
        return f"Linux {release[0]} does not have it; 6.9 does"
    if not here.is_privileged:
        return "the process does not have CAP_SYS_ADMIN (as root outside of user namespaces has)"
    return "-o direct_io is given" if is_direct else None


def unfit(kind: str | None) -> str | None:
    """Why the file system of the cache, of that type in the kernel's table, cannot be used. Policy.

    A server that does not answer would hold programs up, and a file that another machine evicts is gone, even
    for who has it open.
    """
    if kind is not None and (kind in _REMOTE or kind.startswith(_REMOTE_PREFIX)):
        return f"the cache is on another machine, or in another program ({kind})"
    return None


def with_passthrough(
    options: FuseOptions, library: Library, cache: Path | None
) -> tuple[FuseOptions, str | None]:
    """The options of a mount with those for passthrough, and None; or as they are, and why not."""
    reason = refusal(machine(library), cache, is_direct=options.is_direct)
    if reason is not None or cache is None:
        return options, reason
    # No more than needed, since an overlayfs on our mount counts it, too (FILESYSTEM_MAX_STACK_DEPTH in
    # linux/fs.h).
    return replace(options, backing_depth=1 if _kind(cache) in _STACKED else 0), None


def _kind(folder: Path) -> str | None:
    """The type of the file system that `folder` is on, or will be; None if that is not known."""
    try:
        return kind_of(next((each for each in (folder, *folder.parents) if each.exists()), folder))
    except OSError:
        return None


def _is_privileged(process: Path) -> bool:
    try:
        found = _CAPABILITIES.search((process / "status").read_text())
        users = (process / "uid_map").read_text().split()
    except OSError:
        return False
    return found is not None and bool(int(found[1], 16) & _SYS_ADMIN) and users == _ALL_USERS


def _version(number: int) -> str:
    """2.9 for 29, 3.14 for 314 (FUSE_VERSION in fuse_common.h)."""
    text = str(number)
    return f"{text[0]}.{text[1:]}"
