"""Our programs, forked from a process that has imported them.

To start Python and to import takes longer than all else in most tests. What runs is the program itself, from
its command line on, in a process of its own.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from empirical_fs.cli.main import main as mount_command
from empirical_fs.sandbox.cli import main as sandbox_command

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        __name__,
        *(f"empirical_fs.cli.{each}" for each in ("mounting", "showing_status", "caching", "examining")),
        "tests.support.template",
    ]
)
_COMM = Path("/proc/self/comm")


def mark(place: Path) -> bytes:
    """What the kernel calls the processes that serve `place`, for their command line does not say so."""
    return b"mount-" + sha256(os.fsencode(place)).hexdigest()[:9].encode()


@dataclass(frozen=True)
class Surroundings:
    """What a process has of who starts it."""

    environment: Mapping[str, str]
    first: Callable[[], object] | None
    """Changes more of them."""
    folder: str = field(default_factory=os.getcwd)

    def take(self) -> None:
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        if self.first is not None:
            self.first()


def heed_signals() -> None:
    """Have signals the effect that they have for users; who runs the tests may ignore some."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def start_sandbox(arguments: Sequence[str]) -> BaseProcess:
    """`empirical-sandbox`, which says nothing."""
    process = _SERVER.Process(target=_sandbox, args=(arguments,), daemon=True)
    process.start()
    return process


def start_mount(
    arguments: Sequence[str],
    output: tuple[Path, Path],
    environment: Mapping[str, str],
    first: Callable[[], object] | None = None,
) -> BaseProcess:
    """`empirical-mount` with these arguments; what it prints is in the two files of `output`.

    `first` is called in its process before.
    """
    surroundings = Surroundings(environment, first)
    process = _SERVER.Process(target=_mount, args=(arguments, output, surroundings), daemon=True)
    process.start()
    return process


def _sandbox(arguments: Sequence[str]) -> None:
    sys.argv[1:] = arguments
    with Path(os.devnull).open("w") as sys.stdout:
        sandbox_command()


def _mount(arguments: Sequence[str], output: tuple[Path, Path], surroundings: Surroundings) -> None:
    surroundings.take()
    _COMM.write_bytes(mark(Path(arguments[-1] if arguments else "")))  # the last one says where it mounts
    for number, path in enumerate(output, 1):
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    mount_command(arguments)
