"""Finds what decides on this machine who may mount where: AppArmor, SELinux, set-uid programs."""

import os
import stat
from pathlib import Path

from empirical_fs.errors import SetupError
from empirical_fs.mount import fusermount
from empirical_fs.mount.refusals import PROFILE, Surroundings

_APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
_PROFILE_DISABLED = Path("/etc/apparmor.d/disable/fusermount3")
_SELINUX = Path("/sys/fs/selinux/enforce")
_OWN_STATUS, _NO_NEW_PRIVILEGES = Path("/proc/self/status"), "\nNoNewPrivs:\t1\n"


def surroundings() -> Surroundings:
    """The surroundings of this process; anything that cannot be examined counts as no obstacle."""
    path = _fusermount()
    return Surroundings(
        is_root=os.geteuid() == 0,
        has_profile=_text(_APPARMOR).startswith("Y") and PROFILE.exists() and not _PROFILE_DISABLED.exists(),
        is_selinux_enforcing=_text(_SELINUX).startswith("1"),
        has_set_uid=path is None or is_set_uid(path),
        has_set_uid_effect=path is None or has_effect(path),
    )


def is_set_uid(path: Path) -> bool:
    """Whether the program at `path` is set-uid root, so that it runs as root for every user.

    Raises:
        OSError: the file cannot be examined.
    """
    status = path.stat()
    return bool(status.st_mode & stat.S_ISUID) and status.st_uid == 0


def has_effect(path: Path) -> bool:
    """Whether set-uid has any effect: not with no_new_privs of this process, nor on a nosuid file system.

    Raises:
        OSError: the file system of `path` cannot be examined.
    """
    return not os.statvfs(path).f_flag & os.ST_NOSUID and _NO_NEW_PRIVILEGES not in _text(_OWN_STATUS)


def _fusermount() -> Path | None:
    try:
        return Path(fusermount.find_fusermount()).resolve()
    except SetupError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
