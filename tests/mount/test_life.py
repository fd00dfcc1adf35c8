"""How a mount ends: by signals, by unmounting, with its terminal, and with readers that wait."""

import ctypes
import errno
import hashlib
import os
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from empirical_fs.fuse.session import LIBFUSE_FAILED
from tests.conftest import Mount
from tests.support.forked import heed_signals
from tests.support.harness import (
    KEY,
    PATIENCE,
    Manager,
    Sandbox,
    environment,
    mount_command,
    mounted_by_program,
    mounted_in_background,
    mounts,
    noise,
    processes,
    run,
    unmount,
    wait_until,
)
from tests.support.lives import (
    GONE,
    SOON,
    errors,
    fusermount,
    hashing,
    held_open,
    is_gone,
    on_terminal,
    waiting,
)
from tests.support.started import started

pytestmark = [pytest.mark.both_libraries, pytest.mark.in_background]

CONTENT = noise(3_000_000)
SMALL = b"small"
HELD = "[ $1 != -u ] || { touch called; until [ -e go ]; do sleep 0.02; done; }"
FAILING_TWICE = "[ $1 != -u ] || [ -e second ] || { [ ! -e first ] || touch second; touch first; exit 1; }"


ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may take a descriptor of a process")
PIDFD_GETFD = 438
"""The number of the system call (pidfd_getfd(2))."""


def fail_libfuse(pid: int, file: int) -> None:
    """Have libfuse read in vain from the kernel: no error but that of an end stands for one."""
    names = Path(f"/proc/{pid}/fd").iterdir()
    device = next(int(each.name) for each in names if str(each.readlink()) == "/dev/fuse")
    process = os.pidfd_open(pid)
    ours = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, device, 0)
    assert ours >= 0, os.strerror(ctypes.get_errno())
    os.set_blocking(ours, False)
    os.close(ours)
    os.close(process)
    # Who is waiting for a request already has to have one.
    with suppress(OSError):
        os.fstatvfs(file)


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("small", SMALL)
    sandbox.put("large", CONTENT)
    return sandbox


@pytest.fixture
def stalled(project: Sandbox) -> Sandbox:
    """A store that sends a little of the large file and then nothing for long."""
    stall = {"type": "stall", "after": 1000, "seconds": 600}
    project.plan(faults=[{"on": "object", "ids": [project.id_of("large")], "action": stall}])
    return project


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.may_warn("mnt is in use; unmounted under its users")
def test_a_signal_while_a_read_stalls(stalled: Sandbox, mount: Mount, number: signal.Signals) -> None:
    """A mount whose reader waits for bytes that never come is gone at once, and the reader has an errno."""
    with mount() as mounted, waiting(mounted / "large", stalled) as reader:
        begun = time.monotonic()
        os.kill(mounted.pid, number)
        _, message = reader.communicate(timeout=PATIENCE)
        wait_until(lambda: is_gone(mounted.path), "the end of the mount")
        assert time.monotonic() - begun < SOON
        assert any(each in message for each in GONE), message
        assert errors(mounted) == []


@pytest.mark.parametrize(
    ("number", "is_read"),
    [(signal.SIGTERM, True), (signal.SIGINT, False)],
    ids=["SIGTERM-stalled", "SIGINT-idle"],
)
@pytest.mark.may_warn("mnt is in use; unmounted under its users")
def test_a_second_signal_while_the_first_is_at_work(
    stalled: Sandbox, tmp_path: Path, number: signal.Signals, *, is_read: bool
) -> None:
    """The second signal changes nothing about a clean end: no process, no mount, no error in the log."""
    folder = tmp_path / "bin"
    variables = fusermount(folder, HELD)
    with (
        mounted_in_background(tmp_path / "mnt", stalled.url, variables=variables) as mount,
        ExitStack() as stack,
    ):
        if is_read:
            stack.enter_context(waiting(mount / "large", stalled))
        pid = mount.pid
        os.kill(pid, number)
        wait_until((folder / "called").exists, "the first signal at work")
        os.kill(pid, number)
        (folder / "go").touch()
        wait_until(lambda: is_gone(mount.path), "the end of the mount", SOON)
        assert errors(mount) == []


def test_a_signal_when_unmounting_fails_at_first(project: Sandbox, tmp_path: Path) -> None:
    """A fusermount that cannot run yet is run again; one signal is enough."""
    variables = fusermount(tmp_path / "bin", FAILING_TWICE)
    with mounted_by_program(tmp_path / "mnt", project.url, variables=variables) as mount:
        mount.kill(signal.SIGTERM)
        assert (tmp_path / "bin" / "second").exists()
        assert errors(mount) == []


def test_unmounting_waits_for_who_uses_it(project: Sandbox, mount: Mount) -> None:
    """fusermount -u is refused while a file is open, all is served on, and succeeds once it is closed."""
    with mount() as mounted:
        with (mounted / "small").open("rb") as file:
            assert "busy" in run("fusermount", "-u", mounted.path, check=False).stderr
            assert (mounted / "large").read_bytes() == CONTENT
            assert file.read() == SMALL
        wait_until(
            lambda: run("fusermount", "-u", mounted.path, check=False).returncode == 0, "the unmounting"
        )
        wait_until(lambda: is_gone(mounted.path), "the end of the process")
        assert mounted.log_lines() == []


def test_lazy_unmounting(project: Sandbox, mount: Mount) -> None:
    """An open file is read to its end after fusermount -uz, and the process ends when it is closed."""
    with mount() as mounted:
        with (mounted / "large").open("rb", buffering=0) as file:
            start = file.read(1000)
            run("fusermount", "-u", "-z", mounted.path)
            assert mounted.names() == set()
            assert start + file.readall() == CONTENT
            assert processes(mounted.path)
        wait_until(lambda: is_gone(mounted.path), "the end of the process")
        # Libfuse may be told by an error that there is no more to read (seen once in thousands of times).
        assert [line for line in mounted.log_lines() if str(LIBFUSE_FAILED) not in line] == []


def test_lazy_unmounting_under_a_stalled_reader(stalled: Sandbox, mount: Mount) -> None:
    """The process ends when its last user is killed, however long the bytes would have taken."""
    with mount() as mounted, waiting(mounted / "large", stalled) as reader:
        run("fusermount", "-u", "-z", mounted.path)
        reader.kill()
        wait_until(lambda: is_gone(mounted.path), "the end of the process", SOON)


@ONLY_ROOT
@pytest.mark.warns("ERROR .*: libfuse could not go on, and the mount is gone")
def test_libfuse_fails(project: Sandbox, mount: Mount) -> None:
    """That is told in a line, and leaves no dead mount behind."""
    with mount() as mounted, held_open(mounted / "small") as file:
        fail_libfuse(mounted.pid, file)
        wait_until(lambda: is_gone(mounted.path), "the end of the process")
        assert [each.partition("daemon: ")[2] for each in mounted.log_lines()] == [str(LIBFUSE_FAILED)]


def test_a_signal_is_for_the_process_and_not_for_the_place(project: Sandbox, mount: Mount) -> None:
    """A process whose mount was taken away lazily ends by SIGTERM and leaves the next mount there alone."""
    with mount() as old, held_open(old / "small"):
        pid = old.pid
        run("fusermount", "-u", "-z", old.path)
        with mount() as new:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: pid not in processes(old.path), "the end of the old process", SOON)
            assert new.names() == {"small", "large"}
            assert (new / "large").read_bytes() == CONTENT
        assert errors(new) == []


def test_killed_with_a_reader_and_an_open_file(stalled: Sandbox, mount: Mount) -> None:
    """After kill -9, who waits and who has a file open hears so; the next mount works beside them."""
    with mount() as mounted, held_open(mounted / "large") as file:
        with waiting(mounted / "large", stalled) as reader:
            mounted.kill(signal.SIGKILL)
            _, message = reader.communicate(timeout=PATIENCE)
            assert any(each in message for each in GONE[:2]), message
        with mount() as again:
            with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
                os.pread(file, 1000, 2_000_000)
            stalled.plan()
            assert (again / "large").read_bytes() == CONTENT


@pytest.mark.may_warn("mnt is in use; unmounted under its users")
def test_many_readers_when_the_mount_ends(project: Sandbox, mount: Mount) -> None:
    """Each of 24 readers has its bytes right or hears an errno; none hangs, and the mount is gone soon."""
    names = [f"large-{number}" for number in range(24)]
    for name in names:
        project.put(name, CONTENT)
    project.plan(bytes_per_second=1e6)
    wanted = hashlib.sha256(CONTENT).hexdigest()
    with mount() as mounted, ExitStack() as stack:
        readers = [stack.enter_context(hashing(mounted / name)) for name in names]
        wait_until(lambda: project.requests()["object"] >= 12, "the reads")
        os.kill(mounted.pid, signal.SIGTERM)
        wait_until(lambda: is_gone(mounted.path), "the end of the mount", SOON)
        for reader in readers:
            output, message = reader.communicate(timeout=PATIENCE)
            is_right = reader.returncode == 0 and output.startswith(wanted)
            # Who comes late finds the empty directory below.
            assert is_right or any(each in message for each in [*GONE, os.strerror(errno.ENOENT)]), message
        assert errors(mounted) == []


def test_the_terminal_of_a_background_mount_closes(project: Sandbox, tmp_path: Path) -> None:
    """A mount lives on when the terminal that it was started from is closed, and the shell with it."""
    path = tmp_path / "mnt"
    with on_terminal(path, project.url, "{mount} && echo mounted && sleep 600") as (shell, terminal):
        said = bytearray()
        while b"mounted" not in said:
            said += os.read(terminal, 1000)
        (pid,) = processes(path)
        assert os.getsid(pid) != shell.pid
        os.close(terminal)
        assert shell.wait(PATIENCE) != 0
        assert (path / "large").read_bytes() == CONTENT
        assert processes(path) == [pid]


@pytest.mark.parametrize("end", ["closing", "Ctrl-C", "Ctrl-C twice"])
def test_the_terminal_of_a_foreground_mount(project: Sandbox, tmp_path: Path, end: str) -> None:
    """A foreground mount goes with its terminal, and by Ctrl-C there, though a file is open."""
    path = tmp_path / "mnt"
    with on_terminal(path, project.url, "{mount} --foreground; :") as (shell, terminal):
        wait_until(lambda: str(path) in mounts(), "the mount")
        with held_open(path / "small"):
            if end == "closing":
                os.close(terminal)
            else:
                os.write(terminal, b"\x03" * (end.count("twice") + 1))
            wait_until(lambda: is_gone(path), "the end of the mount", SOON)
        shell.wait(PATIENCE)
        if end != "closing":
            assert b"Traceback" not in os.read(terminal, 10_000)
            os.close(terminal)


def test_a_foreground_mount_that_is_to_outlive_its_terminal(project: Sandbox, tmp_path: Path) -> None:
    """Under nohup, SIGHUP ends nothing, in the foreground neither."""
    path = tmp_path / "mnt"
    command = ["nohup", *mount_command("--foreground", "--api-url", project.url, path)]
    variables = environment(EMPIRICALRUN_KEY=KEY)
    with subprocess.Popen(command, env=variables) as process:
        try:
            wait_until(lambda: str(path) in mounts(), "the mount")
            process.send_signal(signal.SIGHUP)
            assert (path / "large").read_bytes() == CONTENT
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            unmount(path)


@pytest.mark.parametrize("foreground", [[], ["-f"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_given_up_before_it_is_mounted(
    project: Sandbox, tmp_path: Path, number: signal.Signals, foreground: list[str]
) -> None:
    """Who ends the command that still waits for the listing finds nothing mounted, made or running."""
    path = tmp_path / "parent" / "mnt"
    project.plan(faults=[{"on": "list", "action": {"type": "silence"}}])
    variables = environment(EMPIRICALRUN_KEY=KEY)
    arguments: list[str | Path] = [*foreground, "--api-url", project.url, path]
    with started(*arguments, env=variables, first=heed_signals) as process:
        wait_until(lambda: project.requests()["list"], "the request")
        process.send(number)
        assert process.wait() != 0
        assert process.said()[1] == ""
    wait_until(lambda: is_gone(path), "the end of what it started", SOON)
    assert not path.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_as_soon_as_it_is_mounted(project: Sandbox, tmp_path: Path, number: signal.Signals) -> None:
    """It unmounts, whichever thread gets it: that of the cache is there before the mount is."""
    path = tmp_path / "mnt"
    arguments: list[str | Path] = ["-f", "--api-url", project.url, "--cache-dir", tmp_path / "cache", path]
    with Manager() as manager:
        variables = environment(EMPIRICALRUN_KEY=KEY, NOTIFY_SOCKET=manager.address)
        with started(*arguments, env=variables, first=heed_signals) as process:
            assert manager.awaits(process.sentinel)
            process.send(number)
            assert process.wait() == 0
            assert process.said() == ("", "")
    assert is_gone(path)


def test_the_program_given_up_before_it_is_mounted(project: Sandbox, tmp_path: Path) -> None:
    """The same of the command as users start it."""
    path = tmp_path / "parent" / "mnt"
    project.plan(faults=[{"on": "list", "action": {"type": "silence"}}])
    variables = environment(EMPIRICALRUN_KEY=KEY)
    # Whoever runs the tests in the background may ignore some signals.
    command = ["env", "--default-signal=INT", *mount_command("--api-url", project.url, path)]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE) as process:
        wait_until(lambda: project.requests()["list"], "the request")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode != 0
        assert not said
    wait_until(lambda: is_gone(path), "the end of what it started", SOON)
    assert not path.parent.exists()


def test_a_foreground_mount_with_threads_that_wait(project: Sandbox, tmp_path: Path) -> None:
    """Once it is unmounted its process ends at once, whatever still waits for an answer."""
    path = tmp_path / "mnt"
    refused = {"on": "object", "action": {"type": "status", "status": 403}}
    project.plan(faults=[refused, {"on": "get", "action": {"type": "silence"}}])
    arguments = ("--foreground", "--url-ttl", "0.1", "--api-url", project.url, path)
    with started(*arguments, env=environment(EMPIRICALRUN_KEY=KEY)) as process:
        try:
            wait_until(lambda: str(path) in mounts(), "the mount")
            with subprocess.Popen(["cat", path / "small"], stdout=subprocess.DEVNULL) as reader:
                wait_until(lambda: project.requests()["get"], "a request for a URL that waits")
                reader.kill()
            run("umount", path)
            assert process.wait(SOON) == 0
        finally:
            unmount(path)
