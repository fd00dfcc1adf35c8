"""The doctor's checks of this machine; each is quick, or the caller limits its time."""

import errno
import os
import shlex
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from empirical_fs.control.question import Question, Silent
from empirical_fs.doctor import diagnoses
from empirical_fs.doctor.diagnoses import Finding, Verdict
from empirical_fs.errors import SetupError
from empirical_fs.fuse.loader import check_library, load_library
from empirical_fs.mount import kernel_passthrough, liveness, mount_table, preparing
from empirical_fs.mount.fusermount import FUSE_DEVICE, check_device, find_fusermount
from empirical_fs.mount.kernel_deadline import SYSCTLS, below, kernel_deadline
from empirical_fs.mount.refusals import mount_max
from empirical_fs.mount.security_modules import has_effect, is_set_uid

ETC = Path("/etc")

_FUSE_CONF, _UPDATEDB_CONF, _MTAB = "fuse.conf", "updatedb.conf", "mtab"
_OTHERS = {"allow_other", "allow_root"}
_IN_CONTAINER = "in a container: docker run --device /dev/fuse --cap-add SYS_ADMIN"
_DEVICE_ADVICE = {
    errno.EACCES: f"run: sudo chmod 666 {FUSE_DEVICE}",
    errno.ENODEV: "run: sudo modprobe fuse",
    errno.ENXIO: "run: sudo modprobe fuse",
}


class _State(Enum):
    """The state of a mount's process: it answers, has ended, or does not answer."""

    WELL = auto()
    DEAD = auto()
    SILENT = auto()


def libfuse() -> Finding:
    """The finding on libfuse.

    Raises:
        SetupError: libfuse is missing.
    """
    return diagnoses.ok("libfuse", f"libfuse {check_library()} is there")


def passthrough(cache: Path | None, *, is_direct: bool) -> Finding:
    """The finding on whether the kernel reads cached files by itself; without it, they are read through us.

    Args:
        cache: the folder of the cache on disk; None if that is off.
        is_direct: whether all programs read past the page cache.
    """
    try:
        here = kernel_passthrough.machine(load_library())
    except SetupError:
        return diagnoses.of_passthrough("there is no libfuse")
    return diagnoses.of_passthrough(kernel_passthrough.refusal(here, cache, is_direct=is_direct))


def fusermount() -> Finding:
    """The finding on fusermount, which mounts for users; root does not need it.

    Raises:
        SetupError: it is missing and needed.
        OSError: the file cannot be examined.
    """
    name, is_root = "fusermount", os.getuid() == 0
    try:
        path = Path(find_fusermount()).resolve()
    except SetupError:
        if not is_root:
            raise
        return diagnoses.ok(name, "is not installed, and root does not need it")
    if is_root:
        return diagnoses.ok(name, str(path))
    if not is_set_uid(path):
        advice = f"run: sudo chown root {path} && sudo chmod u+s {path}"
        return Finding(name, Verdict.FAILED, f"{path} is not set-uid root", advice)
    if not has_effect(path):
        advice = "mount as root, or where set-uid programs have effect (no nosuid, no NoNewPrivileges)"
        return Finding(name, Verdict.FAILED, f"{path} is set-uid root, but that has no effect here", advice)
    return diagnoses.ok(name, f"{path}, set-uid root")


def device(path: Path = FUSE_DEVICE) -> Finding:
    """The finding on the device of FUSE, which libfuse opens as the user, before fusermount runs.

    Raises:
        SetupError: it is missing, or cannot be opened.
    """
    check_device()
    if os.statvfs(path).f_flag & os.ST_NODEV:
        raise SetupError(
            f"{path} is on a file system that is mounted nodev",
            advice=f"run: mount -o remount,dev {path.parent}",
        )
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        advice = _DEVICE_ADVICE.get(error.errno or 0, _IN_CONTAINER)
        raise SetupError(f"{path} cannot be opened: {error.strerror}", advice=advice) from error
    return diagnoses.ok("/dev/fuse", "can be opened")


def others(etc: Path, options: Mapping[str, str | bool]) -> Finding:
    """The finding on whether other users may be given access, if the mount `options` ask for that.

    Raises:
        OSError: /etc/fuse.conf cannot be read.
    """
    is_allowed: bool | None
    try:
        is_allowed = diagnoses.allows_others(_text(etc / _FUSE_CONF))
    except FileNotFoundError:
        is_allowed = False
    except PermissionError:
        is_allowed = None
    return diagnoses.of_others(
        is_allowed=is_allowed, is_asked=bool(_OTHERS & options.keys()), is_root=os.getuid() == 0
    )


def table_of_mounts(etc: Path) -> Finding:
    """The finding on /etc/mtab, where fusermount looks up the mounts of users."""
    path = etc / _MTAB
    try:
        path.open("rb").close()
    except OSError as error:
        if os.geteuid() == 0:
            return diagnoses.ok(str(path), f"cannot be read ({error.strerror}), and root does not need it")
        advice = f"run: sudo ln -sf ../proc/self/mounts {path}; fusermount reads it"
        return Finding(str(path), Verdict.FAILED, f"cannot be read: {error.strerror}", advice)
    return diagnoses.ok(str(path), "can be read")


def how_many(etc: Path) -> Finding:
    """The finding on `mount_max` in /etc/fuse.conf, a limit on all FUSE mounts, which root may exceed.

    Raises:
        OSError: /etc/fuse.conf cannot be read.
    """
    try:
        text = _text(etc / _FUSE_CONF)
    except (FileNotFoundError, PermissionError):
        text = ""
    return diagnoses.of_number(mount_table.fuse_mounts(), mount_max(text), is_root=os.geteuid() == 0)


def request_timeout(timeout: float, sysctls: Path = SYSCTLS) -> Finding:
    """The finding on the kernel's limit for a request, which may be below `timeout`, a read's seconds."""
    name, limit = "request timeout", kernel_deadline(sysctls)
    if limit is None:
        return diagnoses.ok(name, "the kernel sets none")
    seen = f"{limit.sysctl} is {limit.seconds:g} s"
    usable = below(timeout, limit)
    if usable == timeout:
        return diagnoses.ok(name, f"{seen}, and reads fail after {timeout:g} s")
    advice = f"give --timeout {usable:g} or less, or run: sudo sysctl {limit.sysctl}=0"
    return Finding(name, Verdict.WARNING, f"{seen}: reads fail after {usable:g} s, not {timeout:g}", advice)


def updatedb(etc: Path) -> Finding:
    """The finding on updatedb, which indexes files for locate(1) and would read the directory every day.

    Raises:
        OSError: /etc/updatedb.conf cannot be read.
    """
    name, path, kind = "updatedb", etc / _UPDATEDB_CONF, mount_table.TYPE
    try:
        pruned = diagnoses.pruned_types(_text(path))
    except FileNotFoundError:
        return diagnoses.ok(name, f"there is no {path}")
    if kind in pruned:
        return diagnoses.ok(name, f"{path} leaves {kind} out")
    return Finding(name, Verdict.WARNING, f"{path} lets it index mounts", f"add {kind} to PRUNEFS there")


def stale_mounts() -> Finding:
    """The finding on mounts of ours whose process has ended or does not answer."""
    name, places = "stale mounts", [Path(mount.mountpoint) for mount in mount_table.ours()]
    asked = [(place, Question(place)) for place in places]
    states = [(place, _state(question)) for place, question in asked]
    silent = [place for place, state in states if state is _State.SILENT]
    dead = [place for place, state in states if state is _State.DEAD]
    if not dead and not silent:
        return diagnoses.ok(name, f"none; {len(places)} mounted")
    seen = [f"the process is gone: {_listed(dead)}"] if dead else []
    seen += [f"the process does not answer: {_listed(silent)}"] if silent else []
    commands = [f"empirical-mount -u {shlex.quote(str(place))}" for place in dead]
    commands += [f"empirical-mount -u --lazy {shlex.quote(str(place))}" for place in silent]
    verdict = Verdict.FAILED if dead else Verdict.WARNING
    return Finding(name, verdict, "; ".join(seen), f"run: {'; '.join(commands)}")


def mount_point(place: Path, *, nonempty: bool) -> Finding:
    """The finding on the directory to mount on.

    Raises:
        SetupError: it cannot be mounted on.
        OSError: the mount there cannot be asked.
    """
    name, mount = "mount point", mount_table.mount_at(place)
    if mount is not None and mount.is_ours and not liveness.is_dead(place):
        return diagnoses.ok(name, f"{place} is mounted, and answers")
    return diagnoses.ok(name, f"{place} is {preparing.foresee(place, nonempty=nonempty)}")


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _listed(places: list[Path]) -> str:
    return ", ".join(map(str, places))


def _state(question: Question) -> _State:
    try:
        return _State.DEAD if liveness.lost_its_process(question) else _State.WELL
    except Silent:
        return _State.SILENT
    except OSError:
        return _State.WELL  # the mount is another user's, or was unmounted meanwhile
