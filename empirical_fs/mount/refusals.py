"""Why a mount was refused, from the messages of libfuse and fusermount and the obstacles found here; pure.

Source of AppArmor's profile of fusermount3: Ubuntu 25.04 and newer (apparmor.d/fusermount3 of AppArmor 4.1).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from empirical_fs.errors import Trouble

PROFILE = Path("/etc/apparmor.d/fusermount3")
PROFILE_ADDITIONS = Path("/etc/apparmor.d/local/fusermount3")
ALLOWED_BY_PROFILE = "a home directory, /mnt, /media, /tmp and /run/user"
MOUNT_MAX_DEFAULT = 1000
"""Fusermount's default limit on the number of all FUSE mounts together (fuse.conf(5))."""

_ALLOWED = re.compile(r"(/home/[^/]+|/root|/mnt|/media|/tmp|/run/user/[0-9]+)/.+")
_MOUNT_MAX = re.compile(r"mount_max = (?P<number>[0-9]{1,9})\s*")
_REFUSED = re.compile(r"mount failed: (?:Permission denied|Operation not permitted)|Operation not permitted")
_IN_CONTAINER = "in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN"

_OWN = Trouble("{said}", "choose a directory of your own")
_KNOWN = {
    "user_allow_other": Trouble("-o allow_other needs the line user_allow_other in /etc/fuse.conf"),
    "too many FUSE filesystems": Trouble(
        "there are as many FUSE mounts as users may have",
        "unmount some (findmnt -t fuse), or raise mount_max = N in /etc/fuse.conf",
    ),
    "failed to open /dev/fuse: Permission denied": Trouble(
        "{said}", f"run: sudo chmod 666 /dev/fuse ({_IN_CONTAINER}; nowhere if /dev is mounted nodev)"
    ),
    "failed to exec": Trouble("{said}", "fusermount must be there, on no file system that is mounted noexec"),
    "mounting over filesystem type": Trouble("{said}", "choose a directory on a disk of this machine"),
    "not owned by user": _OWN,
    "no write access": _OWN,
}
"""Phrases in the messages of libfuse and fusermount, and for each what it means and what to do."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides on this machine who may mount where."""

    is_root: bool
    has_profile: bool = False
    """Whether AppArmor confines fusermount3."""
    is_selinux_enforcing: bool = False
    has_set_uid: bool = True
    """Whether fusermount is set-uid root."""
    has_set_uid_effect: bool = True
    """Whether set-uid programs have any effect here."""


def is_allowed(place: Path) -> bool:
    """Whether AppArmor's profile lets users mount at `place`."""
    return _ALLOWED.fullmatch(str(place)) is not None


def of_profile(place: Path) -> str:
    """What to do if AppArmor's profile forbids a mount at `place`."""
    top = Path(*place.parts[:2])
    rules = f"mount fstype=@{{fuse_types}} options=(nosuid,nodev,ro) -> {top}/**/, and umount {top}/**/,"
    return (
        f"mount below {ALLOWED_BY_PROFILE}; or write into {PROFILE_ADDITIONS}: {rules}"
        f" and run: sudo apparmor_parser -r {PROFILE}"
    )


def refusal(said: str, place: Path, around: Surroundings) -> Trouble:
    """Why a mount at `place` was refused, and what to do; `said` is what libfuse and fusermount wrote."""
    known = next((known for phrase, known in _KNOWN.items() if phrase in said), None)
    if known is not None:
        return Trouble(known.what.format(said=said), known.advice)
    if _REFUSED.search(said):
        return Trouble(said, _of_refusal(place, around))
    return Trouble(said or "libfuse did not say why")


def _of_refusal(place: Path, around: Surroundings) -> str:
    """What to do about a refusal of mount(2), by the most probable obstacle here."""
    if around.has_profile and not around.is_root and not is_allowed(place):
        return f"AppArmor's profile fusermount3 ({PROFILE}) forbids it there: {of_profile(place)}"
    if not around.is_root and not around.has_set_uid:
        return "fusermount is not set-uid root; run: sudo chmod u+s $(command -v fusermount3)"
    if not around.is_root and not around.has_set_uid_effect:
        return "set-uid programs have no effect here (NoNewPrivileges= of systemd, or nosuid); mount as root"
    if around.is_selinux_enforcing:
        return f"SELinux may forbid it: sudo ausearch -m avc -ts recent shows that ({_IN_CONTAINER})"
    return f"{_IN_CONTAINER} (--security-opt apparmor:unconfined)"


def mount_max(fuse_conf: str) -> int:
    """The limit on FUSE mounts, above which users may add none, from the text of /etc/fuse.conf."""
    found = [match for match in map(_MOUNT_MAX.fullmatch, fuse_conf.split("\n")) if match]
    return int(found[-1]["number"]) if found else MOUNT_MAX_DEFAULT
