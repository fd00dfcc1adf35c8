"""A question to the process of a mount, which waits for an answer so long and no longer.

Whoever asks a process that hangs may hang with it: once the request is read, the kernel lets the asking
thread neither go on nor end, and a process that has such a thread does not end either. So another process
asks, which can be left behind.
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from empirical_fs.control import asker
from empirical_fs.errors import SetupError

PATIENCE = 2.0
"""Seconds in which the process of a mount has to answer."""

_START_SECONDS = 10.0
"""In which a process has started, on a machine that has much else to do."""
_READ_MAX = 2**16
_NEEDED = ("LD_LIBRARY_PATH",)
"""Variables without which Python may not start."""
_END_SECONDS = 0.2
"""In which a process that is killed has ended, unless it hangs in the kernel."""


class Silent(SetupError):
    """The process that serves a mount does not answer."""

    def __init__(self, mountpoint: Path) -> None:
        """Say so, and what helps."""
        super().__init__(
            f"the process that serves {mountpoint} does not answer",
            advice=f"to take the mount away: empirical-mount -u --lazy {mountpoint}",
        )


class Question:
    """Asks from now on."""

    def __init__(
        self, mountpoint: Path, command: int = asker.WHETHER_ALIVE, room: int = 0, seconds: float = PATIENCE
    ) -> None:
        """Ask by an ioctl `command` with `room` bytes for the answer, or just whether there is any answer.

        Raises:
            OSError: it cannot be asked.
        """
        self._mountpoint = mountpoint
        self._seconds = seconds
        self._deadline = time.monotonic() + _START_SECONDS
        program = [sys.executable, "-I", "-S", "-X", "utf8", asker.__file__]
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and a path that is one argument
            [*program, os.fspath(mountpoint), str(command), str(room)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # What may be left behind keeps no directory in use, and knows no key.
            cwd="/",
            env={name: os.environ[name] for name in _NEEDED if name in os.environ},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self._said = b""

    def answer(self) -> bytes:
        """What was answered; to be called once.

        Raises:
            Silent: nothing, in that time.
            OSError: what the kernel says instead.
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
        """What the process has said by then, or by its end."""
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
        """End the process if it can be ended, so that it keeps the mount in use no longer."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._output.close()
