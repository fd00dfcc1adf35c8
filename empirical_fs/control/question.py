"""A request to the process of a mount, with a time limit that also holds if that process hangs.

A process that asks a hanging FUSE process may hang, too: once the FUSE process has read the request, the
kernel lets the asking thread neither continue nor exit, nor its process. So a separate process asks, which
can be abandoned.
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from empirical_fs.control import send_program
from empirical_fs.errors import SetupError

PATIENCE = 2.0
"""Seconds that the process of a mount has to answer."""

_START_SECONDS = 10.0
"""Seconds within which the separate process starts even on a busy machine."""
_READ_MAX = 2**16
_NEEDED = ("LD_LIBRARY_PATH",)
"""Environment variables without which Python may not start."""
_END_SECONDS = 0.2
"""Seconds within which a killed process ends, unless it hangs in the kernel."""


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
        command: int = send_program.WHETHER_ALIVE,
        room: int = 0,
        seconds: float = PATIENCE,
        text: str = "",
    ) -> None:
        """Send an ioctl `command` with `room` bytes for the answer, or just test whether the mount answers.

        The command gets `text`, which is ASCII and shorter than `room`.

        Raises:
            OSError: the separate process cannot be started.
        """
        self._mountpoint = mountpoint
        self._seconds = seconds
        self._deadline = time.monotonic() + _START_SECONDS
        program = [sys.executable, "-I", "-S", "-X", "utf8", send_program.__file__]
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and a path that is one argument
            [*program, os.fspath(mountpoint), str(command), str(room), text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # The process may be abandoned, so it must not keep a directory in use, or have the key.
            cwd="/",
            env={name: os.environ[name] for name in _NEEDED if name in os.environ},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self._said = b""

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
            raise OSError(None, f"the program that asks ended with {self._process.returncode}")
        if int(number):
            raise OSError(int(number), os.strerror(int(number)))
        return answer

    def _read_until(self, is_enough: Callable[[bytes], bool]) -> bytes:
        """Read the process's output until `is_enough` says so, or to its end; returns all of it."""
        while not is_enough(self._said):
            left = max(self._deadline - time.monotonic(), 0.0)
            if not select.select([self._output], [], [], left)[0]:
                raise Silent(self._mountpoint)
            more = os.read(self._output.fileno(), _READ_MAX)
            if not more:
                break
            self._said += more
        return self._said

    def _leave(self) -> None:
        """Kill the process, if it can be killed, so that it no longer keeps the mount in use."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._output.close()
