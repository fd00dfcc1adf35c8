"""Readers, terminals and a fusermount for the tests of how a mount ends and what it can do without."""

import errno
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    environment,
    mount_command,
    mounts,
    processes,
    unmount,
    wait_until,
)

SOON = 15.0
"""Seconds in which a mount is gone, whatever its readers wait for, which is longer."""

GONE = [
    *(os.strerror(each) for each in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.EINTR)),
    *("Connection aborted", "Not connected"),  # as the coreutils of Ubuntu 26.04 put it
]
"""What a reader may hear when the mount goes away under it."""


@contextmanager
def waiting(path: Path, sandbox: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """A process that reads `path` and waits for bytes that do not come."""
    sandbox.forget_requests()
    with subprocess.Popen(
        ["cat", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    ) as reader:
        try:
            wait_until(lambda: sandbox.requests()["object"], "the request")
            yield reader
        finally:
            reader.kill()


def hashing(path: Path) -> subprocess.Popen[str]:
    """A process that reads `path` and says what it hears."""
    pipe = subprocess.PIPE
    return subprocess.Popen(["sha256sum", path], stdout=pipe, stderr=pipe, text=True, env=environment())


@contextmanager
def on_terminal(path: Path, url: str, script: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A shell that runs `script` on a terminal of its own, and our end of that; {mount} is the program."""
    ours, terminal = os.openpty()
    program = shlex.join(str(word) for word in mount_command("--api-url", url, path))
    # Whoever runs the tests by nohup ignores this signal.
    command = ["env", "--default-signal=HUP", "setsid", "--ctty", "sh", "-c", script.format(mount=program)]
    variables = environment(EMPIRICALRUN_KEY=KEY)
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=variables) as shell:
        os.close(terminal)
        try:
            yield shell, ours
        finally:
            shell.kill()
            unmount(path)


def fusermount(folder: Path, first: str) -> dict[str, str]:
    """The variables with which a program finds a fusermount that does something else first, in `folder`."""
    folder.mkdir()
    program = folder / "fusermount"
    program.write_text(f'#!/bin/sh\ncd {folder}\n{first}\nexec {shutil.which("fusermount")} "$@"\n')
    program.chmod(0o700)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@contextmanager
def held_open(path: Path) -> Iterator[int]:
    """A descriptor, whose closing may tell that the mount is gone."""
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        with suppress(OSError):
            os.close(file)


def is_gone(path: Path) -> bool:
    """Whether there is neither a process nor a mount."""
    return not processes(path) and str(path) not in mounts()


def errors(mounted: Mounted) -> list[str]:
    """The lines of the log that are worse than a warning, tracebacks among them."""
    return [line for line in mounted.log_lines() if " WARNING " not in line]
