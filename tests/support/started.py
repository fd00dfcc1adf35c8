"""A command of `empirical-mount` that runs beside its test, forked from a process that has imported it."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.forked import start_mount
from tests.support.harness import PATIENCE, environment


class Started:
    """The command, and what it has said."""

    def __init__(self, process: BaseProcess, output: tuple[Path, Path]) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """A descriptor that can be read once the command has ended."""
        return self._process.sentinel

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status, which must come within `seconds`."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"after {seconds} s, process {self.pid} has not ended"
        return self._process.exitcode

    def said(self) -> tuple[str, str]:
        """What is in its stdout and its stderr."""
        stdout, stderr = (each.read_text() for each in self._output)
        return stdout, stderr


@contextmanager
def started(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    first: Callable[[], object] | None = None,
) -> Iterator[Started]:
    """Start the command, and end it in the end; `first` is called in its process before.

    `subprocess.Popen(mount_command(...))` starts it as users do.
    """
    with TemporaryDirectory() as folder:
        output = (Path(folder) / "stdout", Path(folder) / "stderr")
        process = start_mount(
            [str(each) for each in arguments], output, environment() if env is None else env, first
        )
        try:
            yield Started(process, output)
        finally:
            process.kill()
            process.join()
