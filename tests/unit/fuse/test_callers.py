"""Whether the thread that asked has ended or is about to, as far as the system can tell."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from empirical_fs.fuse import callers as module
from empirical_fs.fuse.callers import has_ended, is_ending
from tests.support.harness import PATIENCE, wait_until

NO_THREAD = 2**22 + 1
"""More than Linux numbers (PID_MAX_LIMIT)."""
HANDLING = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
print("ready", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that tells")


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]


def test_who_lives() -> None:
    """A thread that runs has not ended, and is not about to; ours that wait are threads as well."""
    for thread in (os.getpid(), threading.get_native_id()):
        assert not has_ended(thread)
        assert not is_ending(thread)


def test_who_is_gone() -> None:
    """A number that no thread has, and a process that nobody has waited for yet, are at their end."""
    assert has_ended(NO_THREAD)
    assert is_ending(NO_THREAD)
    with subprocess.Popen(["true"]) as process:
        wait_until(lambda: state(process.pid) == "Z", "a process that has ended")
        assert has_ended(process.pid)
        assert is_ending(process.pid)


def test_who_cannot_be_seen() -> None:
    """The kernel's own, or another namespace's, is not said to be gone, nor to be about to."""
    for unseen in (0, -1):
        assert not has_ended(unseen)
        assert not is_ending(unseen)


def test_a_proc_that_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where /proc is another PID namespace's, or is not there, what it says is of another thread."""
    (tmp_path / "self").symlink_to("1")
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_text("1 (other) Z 1")
    for place in (tmp_path, tmp_path / "none"):
        monkeypatch.setattr(module, "_PROC", place)
        assert not has_ended(os.getpid())
        assert not is_ending(os.getpid())
        assert has_ended(NO_THREAD)
        assert is_ending(NO_THREAD)


def test_who_handles_a_signal() -> None:
    """A signal that waits to be handled ends nobody."""
    command = [sys.executable, "-c", HANDLING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state(process.pid) == "T", "a process that stands still")
        process.send_signal(signal.SIGUSR1)
        assert not is_ending(process.pid)
        assert not has_ended(process.pid)
        process.kill()
        process.wait(PATIENCE)
