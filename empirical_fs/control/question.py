"""A request to the process of a mount, with a time limit that also holds if that process hangs.

A process that asks a hanging FUSE process may hang, too: once the FUSE process has read the request, the
kernel lets the asking thread neither continue nor exit, nor its process. So a forked process asks, which can
be abandoned.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from empirical_fs import abandonable
from empirical_fs.control import asking
from empirical_fs.errors import SetupError

PATIENCE = 2.0
"""Seconds that the process of a mount has to answer."""

_START_SECONDS = 10.0
"""Seconds within which the forked process asks even on a busy machine."""
_READ_MAX = 2**16
_DESCRIPTORS_MAX = 2**16
"""More than a command has open. The system's own limit may be a thousand million."""


class Silent(SetupError):
    """The process that serves a mount does not answer."""

    def __init__(self, mountpoint: Path) -> None:
        """Name the mount and the command that removes it."""
        super().__init__(
            f"the process that serves {mountpoint} does not answer",
            advice=f"to take the mount away: empirical-mount -u --lazy {mountpoint}",
        )


class Question:
    """One request; it is sent when the object is made."""

    def __init__(
        self,
        mountpoint: Path,
        command: int = asking.WHETHER_ALIVE,
        room: int = 0,
        seconds: float = PATIENCE,
        text: str = "",
    ) -> None:
        """Send an ioctl `command` with `room` bytes for the answer, or just test whether the mount answers.

        The command gets `text`, which is ASCII and shorter than `room`.

        Raises:
            OSError: there is no process, or no pipe, for the request.
        """
        self._mountpoint = mountpoint
        self._seconds = seconds
        self._deadline = time.monotonic() + _START_SECONDS
        self._said = b""
        self._output, writing = os.pipe()
        try:
            self._process = abandonable.start(partial(_ask, writing, mountpoint, command, room, text))
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(writing)

    def answer(self) -> bytes:
        """Wait for the answer; to be called once.

        Raises:
            Silent: there was none in time.
            OSError: the request failed with this errno.
        """
        try:
            asked_at = self._read_until(lambda said: said.count(b"\0") > 0).partition(b"\0")[0]
            if asked_at:
                self._deadline = float(asked_at) + self._seconds
            _, number, answer = (*self._read_until(lambda _: False).split(b"\0", 2), b"", b"")[:3]
        finally:
            self._leave()
        if not number:
            raise OSError(None, "the process that asks has ended without a word")
        if int(number):
            raise OSError(int(number), os.strerror(int(number)))
        return answer

    def _read_until(self, is_enough: Callable[[bytes], bool]) -> bytes:
        """Read the process's output until `is_enough` says so, or to its end; returns all of it."""
        while not is_enough(self._said):
            if not abandonable.is_readable(self._output, self._deadline - time.monotonic()):
                raise Silent(self._mountpoint)
            more = os.read(self._output, _READ_MAX)
            if not more:
                break
            self._said += more
        return self._said

    def _leave(self) -> None:
        """Kill the process, if it can be killed, so that it no longer keeps the mount in use."""
        os.close(self._output)
        abandonable.abandon(self._process)


def _ask(output: int, mountpoint: Path, command: int, room: int, text: str) -> None:
    """Ask; this process may be abandoned, so it keeps no directory, no terminal and no open file in use."""
    os.setsid()
    os.chdir("/")
    os.dup2(output, 0)
    os.closerange(1, _DESCRIPTORS_MAX)
    asking.ask(0, os.fspath(mountpoint), command, room, text)
