"""Names the processes that use a mount, or have it in another mount namespace."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from empirical_fs import macos
from empirical_fs.mount.mount_table import Mount

_PROCESSES = Path("/proc")


def holders(mount: Mount, server: int) -> Iterator[str]:
    """The programs in other mount namespaces where this mount is still mounted."""
    own = _namespace("self")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == server or _namespace(str(process.pid)) == own or not process.cmdline():
                continue  # a thread of the kernel has no command line, and holds nothing
            table = (_PROCESSES / str(process.pid) / "mountinfo").read_bytes()
            if f" {mount.device} ".encode() in table:
                yield f"{process.name()} (process {process.pid})"


def _namespace(process: str) -> str:
    """The mount namespace of a process, by its name in /proc."""
    return os.readlink(_PROCESSES / process / "ns" / "mnt")  # noqa: PTH115 - a link to no path


def users(place: Path) -> Iterator[str]:
    """The processes that have files below `place` open or mapped, or their working directory there."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(
                Path(path).is_relative_to(place) for path in _used_by(process)
            ):
                yield f"{process.name()} (process {process.pid})"
        except (psutil.Error, OSError):
            continue  # the process has ended, or is another user's


def _used_by(process: psutil.Process) -> Iterable[str]:
    """The paths that a process uses. They are never opened or stat'ed: in a mount that hangs, so would we."""
    yield process.cwd()
    if macos.IS_MACOS:
        yield from (file.path for file in process.open_files())
        return
    for descriptor in (_PROCESSES / str(process.pid) / "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            yield os.readlink(descriptor)  # noqa: PTH115 - a link to a socket or pipe is no path
    for line in (_PROCESSES / str(process.pid) / "maps").read_bytes().splitlines():
        fields = line.split(None, 5)
        if len(fields) > 5:  # noqa: PLR2004 - the path is the sixth (proc(5))
            yield os.fsdecode(fields[5])
