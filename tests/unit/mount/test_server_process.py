"""The process that serves a mount is known until its end, whichever way the system has for that."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from empirical_fs.mount.server_process import DescribedProcess, ServerProcess, WatchedProcess, server_process
from tests.support.harness import wait_until

WAYS = [DescribedProcess, WatchedProcess]
Way = Callable[[int], ServerProcess]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def sleeping(name: str) -> subprocess.Popen[bytes]:
    program = "import sys; print(flush=True); sys.stdin.read()"
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"\n"
    return started


@pytest.fixture
def served() -> Iterator[subprocess.Popen[bytes]]:
    with sleeping("empirical-mount") as process:
        yield process
        process.kill()


@pytest.mark.parametrize("way", WAYS)
def test_its_end(served: subprocess.Popen[bytes], way: Way) -> None:
    """A zombie has ended; and so has one that was reaped."""
    process = way(served.pid)
    assert not process.has_ended()
    served.kill()
    wait_until(process.has_ended, "the end of the process, which nobody has reaped")
    served.wait()
    assert process.has_ended()
    with pytest.raises(ProcessLookupError):
        way(served.pid)


def test_which_process_it_is(served: subprocess.Popen[bytes]) -> None:
    """One whose command line is another's is not waited for: the number may be one of another container."""
    found = server_process(served.pid)
    assert found is not None
    assert found.pid == served.pid
    with sleeping("other") as other:
        assert server_process(other.pid) is None
        other.kill()
    assert server_process(other.pid) is None


def test_without_descriptors_of_processes(
    served: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has none, or forbids them, psutil watches it."""

    def refused(_pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refused)
    assert isinstance(server_process(served.pid), WatchedProcess)
    monkeypatch.delattr(os, "pidfd_open")
    assert isinstance(server_process(served.pid), WatchedProcess)


def test_descriptors_are_given_back(served: subprocess.Popen[bytes]) -> None:
    before = descriptors()
    for _ in range(3):
        assert server_process(served.pid) is not None
    assert descriptors() == before
