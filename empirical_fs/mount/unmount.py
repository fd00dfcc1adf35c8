"""Unmounts on request: waits for the end of the mount's process, or names the programs that use the mount."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import psutil

from empirical_fs import macos
from empirical_fs.control import protocol
from empirical_fs.control.question import Silent
from empirical_fs.errors import SetupError
from empirical_fs.mount import fusermount, mount_table

_END_SECONDS, _MOMENT_SECONDS, _ASKER_SECONDS, _PAUSE = 30.0, 0.3, 1.0, 0.02
_NAMED_MAX = 5
_HELD_SECONDS = 1.0
"""After this wait, we search for processes that have the mount in another mount namespace."""
_PROCESSES = Path("/proc")


def unmount_ours(place: Path, *, lazy: bool) -> str | None:
    """Unmount a mount of this program, whether its process runs or not, and wait for the end of its process.

    With `lazy`, the mount disappears from its path at once, and programs that use it may finish; we neither
    ask its process nor wait for it. Where several mounts lie over each other, all those of this program are
    unmounted.

    Returns:
        A message for the user, or None.

    Raises:
        SetupError: nothing of ours is mounted there, it is in use, or its process does not end.
    """
    mount_table.find_ours(place)
    _leave()
    said = [_unmount_top(place, each, lazy=lazy) for each in reversed(mount_table.layers(place))]
    return next(filter(None, said), None)


def _leave() -> None:
    """Stop using the mount ourselves: our working directory or our stdin may be in it."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.close(nothing)


def _unmount_top(place: Path, mount: mount_table.Mount, *, lazy: bool) -> str | None:
    """Unmount `mount` if it is ours and on top; returns a message for the user, or None."""
    if not mount.is_ours or mount_table.mount_at(place) != mount:
        return None
    if lazy:
        fusermount.unmount(place, lazy=True)
        return None
    silence: Silent | None = None
    server = None
    try:
        server = _server(place)
    except Silent as error:
        silence = error
    try:
        # A process that asks the mount for a command uses it for a moment; one that asked in vain is being
        # killed, and uses it until it ends.
        _unmount(place, patience=_MOMENT_SECONDS if silence is None else _ASKER_SECONDS)
    except fusermount.Busy as error:
        if silence is not None:
            raise silence from error
        named = list(_users(place))
        who = ", ".join(named[:_NAMED_MAX]) + (", ..." if len(named) > _NAMED_MAX else "")
        raise SetupError(
            f"{place} is busy: in use by {who or 'a process that cannot be seen from here'}",
            advice="close what is open there, or give --lazy",
        ) from error
    if silence is not None:
        return f"{place} is unmounted; the process that served it does not answer, and may still run"
    if server is not None:
        return _wait_for_end(place, mount, server)
    return None


def _wait_for_end(place: Path, mount: mount_table.Mount, server: psutil.Process) -> str | None:
    """Wait for the end of the process that served the mount; returns a message for the user, or None."""
    begin = time.monotonic()
    while _runs(server):
        waited = time.monotonic() - begin
        if waited > _HELD_SECONDS and (holders := list(islice(_holders(mount, server.pid), _NAMED_MAX))):
            return (
                f"{place} is unmounted here; in a mount namespace of its own"
                f" it is still there for {', '.join(holders)}"
            )
        if waited > _END_SECONDS:
            raise SetupError(f"{place} is unmounted, but process {server.pid} does not end")
        time.sleep(_PAUSE)
    return None


def _holders(mount: mount_table.Mount, server: int) -> Iterator[str]:
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


def _unmount(place: Path, patience: float) -> None:
    """Unmount; while the mount is busy, try again for `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fusermount.unmount(place)
        except fusermount.Busy:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _runs(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not, and in a container nobody may ever reap it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _server(place: Path) -> psutil.Process | None:
    """The process that serves the mount; None if it has ended, or is another user's.

    Raises:
        Silent: the mount does not answer.
    """
    try:
        process = psutil.Process(protocol.ask(place, protocol.Command.STATUS)["pid"])
        # The mount may be served from another container, where this pid means another process.
        if any("empirical" in argument for argument in process.cmdline()):
            return process
    except Silent:
        raise
    except (SetupError, psutil.Error):
        pass  # the process has ended, or is another user's
    return None


def _users(place: Path) -> Iterator[str]:
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
