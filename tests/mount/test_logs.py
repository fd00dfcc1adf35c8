"""What a mount logs, and where to: a file, syslog, the journal; and what it tells a service manager."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    PATIENCE,
    Sandbox,
    environment,
    mount_command,
    mounts,
    processes,
    run,
    unmount,
    wait_until,
)
from tests.support.namespaces import apart

MISSING = {"type": "status", "status": 404}

# A syslog of our own, which has to be at /dev/log, in a mount namespace.
WITH_SYSLOG = """
set -e
exec 3</dev/null
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9
mknod -m 666 /dev/fuse c 10 229
ln -s "$1" /dev/log
path=$2
shift 2
"$@" <&3
cat "$path/bad" <&3 || true
umount "$path"
"""


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A file that can be read, and one whose object the store does not have."""
    sandbox.put("good", b"content")
    sandbox.put("bad", b"content")
    sandbox.plan(faults=[{"on": "object", "ids": [sandbox.id_of("bad")], "action": MISSING}])
    return sandbox


@contextmanager
def foreground(
    project: Sandbox, path: Path, variables: Mapping[str, str], stderr: BinaryIO | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A mount in the foreground, as a service manager starts it."""
    command = mount_command("-f", "--api-url", project.url, path)
    wanted = environment(**{"EMPIRICALRUN_KEY": KEY, **variables})
    try:
        with subprocess.Popen(command, stderr=stderr, env=wanted) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
    finally:
        unmount(path)


def test_everything(project: Sandbox, mount: Mount) -> None:
    """-vv tells of each operation and each request, how it ended and how long it took; no signature."""
    resource = project.id_of("good")
    with mount("-vv", "--refresh", "0") as mounted:
        assert (mounted / "good").read_bytes() == b"content"
        with pytest.raises(OSError, match=os.strerror(2)):
            (mounted / "line\nbreak").stat()

        def log() -> str:
            return mounted.log.read_text()

        def assert_told(pattern: str) -> None:
            # Each line is written after its operation was answered, in whichever thread that was.
            wait_until(lambda: re.search(pattern, log()) is not None, f"{pattern} in the log")

        for line in (
            "GET /api/resources\\?page=1&per_page=100: HTTP 200",
            f"GET of resource {resource}, bytes 0 to 7: HTTP 206",
            "open '/good': 0",
            "read '/good' [0-9]+ bytes at 0: 7",
            r"lookup '/line\\nbreak': NoSuchFile: .*|lookup '/line\\nbreak': ENOENT",
        ):
            assert_told(f"DEBUG .*(?:{line}) in [0-9.]+ ms\n")
        assert KEY not in log()
        assert "X-Amz" not in log()
        assert "line\nbreak" not in log()


@pytest.mark.warns("read /bad: the (file changed since|object was deleted)")
def test_quiet_by_default(project: Sandbox, mount: Mount) -> None:
    """What works is not told of; what does not, is, in a line."""
    with mount() as mounted:
        assert (mounted / "good").read_bytes() == b"content"
        assert mounted.log_lines() == []
        with pytest.raises(OSError, match=os.strerror(116)):
            (mounted / "bad").read_bytes()
        # The kernel asks once more when its read-ahead has failed.
        assert {"read /bad: " in line for line in mounted.log_lines()} == {True}


def test_a_service(project: Sandbox, tmp_path: Path) -> None:
    """A service manager is told when the mount answers."""
    path, notify = tmp_path / "mnt", tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(notify))
        manager.settimeout(PATIENCE)
        with foreground(project, path, {"NOTIFY_SOCKET": str(notify)}):
            assert manager.recv(100).startswith(b"READY=1\n")
            assert str(path) in mounts()
            assert (path / "good").read_bytes() == b"content"


def test_the_journal(project: Sandbox, tmp_path: Path) -> None:
    """Where stderr is the journal's, each line begins with its priority."""
    path, log = tmp_path / "mnt", tmp_path / "journal"
    with log.open("wb") as journal:
        about = os.fstat(journal.fileno())
        variables = {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"}
        with foreground(project, path, variables, journal) as process:
            wait_until(lambda: str(path) in mounts(), "the mount")
            with pytest.raises(OSError, match=os.strerror(116)):
                (path / "bad").read_bytes()
            process.terminate()
            assert process.wait(PATIENCE) == 0
    assert re.fullmatch("(<4>read /bad: .*\n)+", log.read_text())


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a /dev of its own")
def test_syslog(project: Sandbox, tmp_path: Path) -> None:
    """A mount in the background tells syslog."""
    path, name = tmp_path / "mnt", tmp_path / "syslog"
    command = mount_command("--api-url", project.url, path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(name))
        syslog.settimeout(PATIENCE)
        inside = apart("sh", "-c", WITH_SYSLOG, "sh", name, path, *command)
        run(*inside, env=environment(EMPIRICALRUN_KEY=KEY))
        assert re.fullmatch(rb"<12>empirical-mount: read /bad: .*\0", syslog.recv(2000))
    wait_until(lambda: not processes(path), "the end of the process")
