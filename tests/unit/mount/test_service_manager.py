"""The service manager is told once that the mount is ready, and a mount needs none."""

import os
import socket
from pathlib import Path

import pytest

from empirical_fs.mount.service_manager import tell_ready

READY = b"READY=1\nSTATUS=mounted\n"


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The manager is told once, by a socket of either kind, and what we start later is not to tell it."""
    name = str(tmp_path / "notify") if kind == "path" else f"@empirical-fs-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        tell_ready()
        assert manager.recv(100) == READY
    assert "NOTIFY_SOCKET" not in os.environ
    tell_ready()


@pytest.mark.warns("the service manager was not told that the mount is there: No such file")
def test_a_manager_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The mount serves all the same, and the log says that nobody was told."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_ready()
    assert "was not told" in caplog.text
