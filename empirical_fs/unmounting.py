"""Unmounting on request: until nothing is left of the mount, or with a word on who is in the way."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from empirical_fs import control, mountpoint
from empirical_fs.errors import SetupError

_END_SECONDS = 30.0
_NAMED_MAX = 5


def unmount_ours(place: Path, *, lazy: bool) -> None:
    """Take away a mount of this program, alive or dead, and wait for the end of its process.

    `lazy`, at once for new users, and from the present ones as they finish; nobody waits for that.

    Raises:
        SetupError: there is none, it is in use, or its process does not end.
    """
    server = _server(mountpoint.find_ours(place))
    try:
        mountpoint.unmount(place, lazy=lazy)
    except mountpoint.Busy as error:
        named = list(_users(place))
        who = ", ".join(named[:_NAMED_MAX]) + (", ..." if len(named) > _NAMED_MAX else "")
        raise SetupError(
            f"{place} is busy: in use by {who or 'somebody who cannot be seen from here'};"
            " close what is open there, or give --lazy"
        ) from error
    if server is None or lazy:
        return
    try:
        server.wait(_END_SECONDS)
    except psutil.TimeoutExpired as error:
        raise SetupError(f"{place} is unmounted, but process {server.pid} does not end") from error


def _server(place: Path) -> psutil.Process | None:
    """The process that serves the mount, if it can be asked."""
    with contextlib.suppress(SetupError, psutil.Error):
        process = psutil.Process(control.ask(place, control.Command.STATUS)["pid"])
        # In another container the number means another process.
        if any("empirical" in argument for argument in process.cmdline()):
            return process
    return None


def _users(place: Path) -> Iterator[str]:
    """The processes that have files below `place` open or mapped, or are there themselves."""
    for process in psutil.process_iter():
        try:
            paths = [
                process.cwd(),
                *(file.path for file in process.open_files()),
                *(each.path for each in process.memory_maps()),
            ]
            if any(Path(path).is_relative_to(place) for path in paths):
                yield f"{process.name()} (process {process.pid})"
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's
