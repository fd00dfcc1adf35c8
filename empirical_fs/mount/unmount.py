"""Unmounts on request: waits for the end of the mount's process, or names the programs that use the mount."""

import os
import time
from itertools import islice
from pathlib import Path

from empirical_fs.control import protocol
from empirical_fs.control.question import Silent
from empirical_fs.errors import SetupError
from empirical_fs.mount import fusermount, mount_table
from empirical_fs.mount.server_process import ServerProcess, server_process

_END_SECONDS, _MOMENT_SECONDS, _ASKER_SECONDS, _PAUSE = 30.0, 0.3, 1.0, 0.02
_NAMED_MAX = 5
_HELD_SECONDS = 1.0
"""After this wait, we search for processes that have the mount in another mount namespace."""


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
        named = _users(place)
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


def _wait_for_end(place: Path, mount: mount_table.Mount, server: ServerProcess) -> str | None:
    """Wait for the end of the process that served the mount; returns a message for the user, or None."""
    begin = time.monotonic()
    while not server.has_ended():
        waited = time.monotonic() - begin
        if waited > _HELD_SECONDS and (holders := _holders(mount, server.pid)):
            return (
                f"{place} is unmounted here; in a mount namespace of its own"
                f" it is still there for {', '.join(holders)}"
            )
        if waited > _END_SECONDS:
            raise SetupError(f"{place} is unmounted, but process {server.pid} does not end")
        time.sleep(_PAUSE)
    return None


def _holders(mount: mount_table.Mount, server: int) -> list[str]:
    from empirical_fs.mount.users import holders  # noqa: PLC0415 - psutil takes a fifth of what all this takes

    return list(islice(holders(mount, server), _NAMED_MAX))


def _users(place: Path) -> list[str]:
    from empirical_fs.mount.users import users  # noqa: PLC0415 - psutil takes a fifth of what all this takes

    return list(users(place))


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


def _server(place: Path) -> ServerProcess | None:
    """The process that serves the mount; None if it has ended, or is another user's.

    Raises:
        Silent: the mount does not answer.
    """
    try:
        return server_process(protocol.ask(place, protocol.Command.STATUS)["pid"])
    except Silent:
        raise
    except SetupError:
        return None
