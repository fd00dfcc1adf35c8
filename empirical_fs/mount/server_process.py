"""The process that serves a mount, of which others wait for the end."""

import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_NAME = "empirical"
"""What is in the command line of a process that serves a mount."""


class ServerProcess(Protocol):
    """A process, and never a later one that has the same number."""

    @property
    def pid(self) -> int:
        """Its number."""

    def has_ended(self) -> bool:
        """Whether it has ended; a zombie has, and in a container nobody may ever reap it."""


class DescribedProcess:
    """A process by a descriptor of it, as Linux gives them (pidfd_open(2))."""

    def __init__(self, pid: int) -> None:
        """Open the descriptor.

        Raises:
            AttributeError: this system has no such descriptors.
            OSError: the process has ended, or such a descriptor cannot be had.
        """
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._end = select.poll()
        self._end.register(self._descriptor, select.POLLIN)

    def __del__(self) -> None:
        """Close the descriptor."""
        with suppress(AttributeError):  # it was not opened
            os.close(self._descriptor)

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return bool(self._end.poll(0))


class WatchedProcess:
    """A process as psutil knows it: by its number and the time of its start."""

    def __init__(self, pid: int) -> None:
        """Look at the process.

        Raises:
            ProcessLookupError: it has ended, or is another user's.
        """
        import psutil  # noqa: PLC0415 - it takes a fifth of what unmounting takes, and Linux does without

        self._gone = psutil.Error
        self._zombie = psutil.STATUS_ZOMBIE
        try:
            self._process = psutil.Process(pid)
            self.command = self._process.cmdline()
        except psutil.Error as error:
            raise ProcessLookupError(pid) from error
        self.pid = pid

    def has_ended(self) -> bool:
        """Whether it has ended."""
        try:
            return not self._process.is_running() or self._process.status() == self._zombie
        except self._gone:
            return True


def server_process(pid: int) -> ServerProcess | None:
    """The process with that number, if it may serve a mount; None if it cannot, or has ended.

    The mount may be served from another container, where the number means another process.
    """
    try:
        process = DescribedProcess(pid)
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except ProcessLookupError:
        return None
    except (AttributeError, OSError):
        return _watched(pid)
    return process if _NAME.encode() in command else None


def _watched(pid: int) -> ServerProcess | None:
    try:
        process = WatchedProcess(pid)
    except ProcessLookupError:
        return None
    return process if any(_NAME in argument for argument in process.command) else None
