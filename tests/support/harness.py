"""Tools for tests of real mounts: a sandbox project, a mount of it, and waiting with a deadline."""

import ctypes
import json
import mmap
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from hashlib import shake_128
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from tests.support.forked import heed_signals, mark, start_mount, start_sandbox
from tests.support.ports import unused_port

KEY = "sandbox-key-0123456789"
PATIENCE = 20.0
_HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "Accept-Encoding": "gzip",  # which a mount does not ask for: so tests tell its requests from their own
}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.05
"""Seconds: most of what is waited for comes at once, and a look costs the sandbox and the mount time, too."""
_START_SECONDS = 60.0
"""How long a mount may take to be there on a machine with other work."""
_END_SECONDS = 60.0
"""How long the process of a mount may take to end on a machine with other work."""
FILE_MODE, ROOT_MODE = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755
"""The modes of files and of the root directory in a mount with the umask 0."""

_Value = TypeVar("_Value")


def wait_until(probe: Callable[[], _Value], what: str, patience: float = PATIENCE) -> _Value:
    """Call `probe` until it returns something true, and return that; fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while not (value := probe()):
        assert time.monotonic() < deadline, f"in {patience} s not seen: {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE)
    return value


@lru_cache(8)  # what a fixture makes for each test
def noise(size: int, seed: int = 0) -> bytes:
    """Bytes as if by chance, so that each range is different; the same bytes for the same seed."""
    return shake_128(str(seed).encode()).digest(size)  # in a third of the time that `random` takes


def environment(**changes: str | None) -> dict[str, str]:
    """The environment for a program under test: no key, proxy or configuration; messages in English."""
    # PYTHONDONTWRITEBYTECODE prevents compiled modules: each command would take a third longer to start.
    removed = {"EMPIRICALRUN_KEY", "EMPIRICAL_API_URL", "EMPIRICAL_METRICS", "PYTHONDONTWRITEBYTECODE"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in removed and not name.lower().endswith("_proxy")
    }
    # No configuration file, and no state that is kept from one test to the next.
    nowhere = {"XDG_CONFIG_HOME": "/nowhere", "XDG_STATE_HOME": "/proc/nowhere"}
    # One certificate: loading those of all authorities takes a mount longer than the rest of its start.
    quick = {"SSL_CERT_FILE": str(Path(__file__).with_name("nobodys_authority.pem"))}
    wanted = {**kept, "LC_ALL": "C.UTF-8", **nowhere, **quick, **changes}
    return {name: value for name, value in wanted.items() if value is not None}


def run(
    *command: str | Path, timeout: float = 60, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; if it fails, show its output."""
    options.setdefault("env", environment())
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    assert done.returncode == 0 or not check, (
        f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done


def empirical_mount(
    *arguments: str | Path,
    timeout: float = 60,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    first: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of `empirical-mount` to its end; if it fails, show its output.

    It is forked from a process that has imported it; `run(*mount_command(...))` starts it as users do.
    `first` is called in its process before.
    """
    command = [str(each) for each in arguments]
    with TemporaryDirectory() as folder:
        output = (Path(folder) / "stdout", Path(folder) / "stderr")
        process = start_mount(command, output, environment() if env is None else env, first)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        stdout, stderr = (each.read_text() for each in output)
        done = subprocess.CompletedProcess(command, process.exitcode, stdout, stderr)
    assert done.returncode == 0 or not check, (
        f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    )
    return done


@contextmanager
def opened(path: Path, *, ahead: bool = False) -> Iterator[int]:
    """A descriptor of an open file; the kernel reads ahead for it only with `ahead`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if not ahead:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def locked_in_memory(path: Path) -> Iterator[None]:
    """Keep a file in the page cache, which else may drop pages at any moment. It is open until then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(path.stat().st_size)
    with path.open("rb") as file:
        # The module of that name gives no address of what can only be read.
        found = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), ctypes.c_long(0))
    start = ctypes.c_void_p(found)
    try:
        assert libc.mlock(start, size) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        libc.munmap(start, size)


class Sandbox:
    """An Empirical project that the real sandbox server serves from `folder`, in a process of its own."""

    def __init__(self, folder: Path, process: BaseProcess, url: str) -> None:
        self.folder = folder
        self.process = process
        self.url = url

    def close(self) -> None:
        self.process.terminate()
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def put(self, path: str, content: bytes, mtime: float | None = None) -> Path:
        """Upload or replace a resource, atomically."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name[:200]}.partial")
        partial.write_bytes(content)
        if mtime is not None:
            os.utime(partial, (mtime, mtime))
        partial.rename(target)
        return target

    def override(self, fields: Mapping[str, Mapping[str, Any]]) -> None:
        """Let the API report these fields for the resources at these paths, whatever the real values are."""
        self.put(".sandbox.json", json.dumps(fields).encode())

    def plan(self, **fields: Any) -> None:
        """Replace the server's plan of misbehaviour by `fields`."""
        self._ask("PUT", "/sandbox/plan", fields)

    def requests(self) -> dict[str, Any]:
        """The requests to the server since its start or the last `forget_requests`."""
        answer: dict[str, Any] = self._ask("GET", "/sandbox/requests")
        return answer

    def spans(self) -> list[tuple[int, int]]:
        """The ranges requested from the store, as (start, end), in the order of their starts."""
        asked = [each["range"] for each in self.requests()["log"] if each["kind"] == "object"]
        pairs = (text.removeprefix("bytes=").split("-") for text in asked)
        return sorted((int(first), int(last) + 1) for first, last in pairs)

    def forget_requests(self) -> None:
        self._ask("DELETE", "/sandbox/requests")

    def patch(self, resource_id: int, **fields: str) -> None:
        self._ask("PATCH", f"/api/resources/{resource_id}", fields)

    def listing(self) -> list[dict[str, Any]]:
        """All resources, as the API lists them."""
        resources: list[dict[str, Any]] = []
        page, pages = 1, 1
        while page <= pages:
            answer = self._ask("GET", f"/api/resources?page={page}&per_page=100")
            resources += answer["data"]["resources"]
            page, pages = page + 1, answer["pagination"]["total_pages"]
        return resources

    def id_of(self, name: str) -> int:
        """The id of the resource of that name."""
        (resource_id,) = (resource["id"] for resource in self.listing() if resource["name"] == name)
        return int(resource_id)

    def _ask(self, method: str, target: str, fields: Mapping[str, Any] | None = None) -> Any:
        """What the server answers, by a connection of its own; httpx would take three times as long."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE)
        try:
            connection.request(method, target, None if fields is None else json.dumps(fields), _HEADERS)
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        assert answer.status in range(200, 300), f"{method} {target}: {answer.status} {said!r}"
        return json.loads(said) if said else None


@contextmanager
def serving(
    folder: Path, ready_file: Path, *options: str, plan: Mapping[str, Any] | None = None
) -> Iterator[Sandbox]:
    """A running sandbox server for `folder`; `plan` is its misbehaviour."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [
        str(folder),
        "--port",
        str(unused_port()),
        "--key",
        KEY,
        "--ready-file",
        str(ready_file),
        *options,
    ]
    process = start_sandbox(arguments)
    try:

        def address() -> str:
            assert process.exitcode is None, f"the sandbox ended with {process.exitcode}"
            return ready_file.read_text().strip() if ready_file.exists() else ""

        sandbox = Sandbox(folder, process, wait_until(address, "the sandbox's address"))
        if plan is not None:
            sandbox.plan(**plan)
    except BaseException:
        process.kill()
        process.join()
        raise
    try:
        yield sandbox
    finally:
        sandbox.close()


def mount_command(*arguments: str | Path) -> list[str | Path]:
    """The command line that runs the real program."""
    return [sys.executable, "-m", "empirical_fs", *arguments]


def mounts() -> list[str]:
    """The mount points of this program, from the kernel's table."""
    lines = os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).split("\n")
    return [line.split()[4] for line in lines if " - fuse.empirical-mount " in line or " empirical:" in line]


def processes(mountpoint: Path) -> list[int]:
    """The processes that serve `mountpoint`."""
    numbers = [int(each.name) for each in os.scandir("/proc") if each.name.isdigit()]
    return _serving(mountpoint, numbers)


def _serving(mountpoint: Path, pids: Iterable[int]) -> list[int]:
    marked, place = mark(mountpoint) + b"\n", os.fsencode(mountpoint)
    return [each for each in pids if _serves(f"/proc/{each}", marked, place)]


def _serves(process: str, marked: bytes, place: bytes) -> bool:
    try:
        if _content(f"{process}/comm") == marked:
            return _content(f"{process}/stat").rpartition(b")")[2].split()[0] != b"Z"
        command = _content(f"{process}/cmdline").split(b"\0")
    except OSError:
        return False  # the process has ended meanwhile
    return b"empirical_fs" in command and place in command


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 2**16)
    finally:
        os.close(descriptor)


def _await_end(pid: int, seconds: float) -> None:
    """Wait until a process ends, or that long."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


class Manager:
    """What systemd is to a service of Type=notify: it hears when that is ready."""

    def __init__(self) -> None:
        # The address must be short.
        self._folder = TemporaryDirectory()
        self.address = f"{self._folder.name}/ready"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._folder.cleanup()

    def awaits(self, sentinel: int, seconds: float = _START_SECONDS) -> bool:
        """Whether the service is ready; False once it has ended, which `sentinel` tells."""
        heard, _, _ = select.select([self._socket.fileno(), sentinel], [], [], seconds)
        assert heard, f"after {seconds} s, the service is neither ready nor at its end"
        return self._socket.fileno() in heard


class Mounted:
    """A running mount."""

    def __init__(self, path: Path, log: Path, printed: str = "") -> None:
        self.path = path
        self.log = log
        self.printed = printed
        """What the command that mounted has printed."""
        self._pid: int | None = None

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def pid(self) -> int:
        known = [] if self._pid is None else _serving(self.path, [self._pid])
        (self._pid,) = known or processes(self.path)
        return self._pid

    def names(self) -> set[str]:
        return {each.name for each in self.path.iterdir()}

    def log_lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process of the mount, and wait for its end."""
        pid = self.pid
        os.kill(pid, number)
        _await_end(pid, PATIENCE)
        wait_until(lambda: not processes(self.path), f"the end of {pid} after {number.name}")


@contextmanager
def mounted(
    path: Path,
    url: str,
    *options: str | Path,
    key: str = KEY,
    variables: Mapping[str, str | None] | None = None,
) -> Iterator[Mounted]:
    """Mount the project at `url`, and unmount afterwards.

    The command is forked from a process that has imported it, and serves in the foreground: each process less
    saves time. `mounted_in_background` and `mounted_by_program` mount as users do.
    """
    log = path.with_name(f"{path.name}.log")
    with TemporaryDirectory() as folder, Manager() as manager:
        output = (Path(folder) / "stdout", Path(folder) / "stderr")
        wanted = environment(
            **{"EMPIRICALRUN_KEY": key, "NOTIFY_SOCKET": manager.address, **(variables or {})}
        )
        arguments = ["-f", "--api-url", url, "--log-file", log, *options, path]
        process = start_mount([str(each) for each in arguments], output, wanted)
        try:
            is_ready = manager.awaits(process.sentinel)
            printed = "".join(each.read_text() for each in output)
            assert is_ready, f"{arguments} ended with {process.exitcode}: {printed}"
            yield Mounted(path, log, printed)
        finally:
            _detach(path)
            process.join(_END_SECONDS)
            has_ended = process.exitcode is not None
            process.kill()
            process.join()
        assert has_ended, f"the process that served {path} goes on"


def mounted_in_background(
    path: Path,
    url: str,
    *options: str | Path,
    key: str = KEY,
    variables: Mapping[str, str | None] | None = None,
) -> AbstractContextManager[Mounted]:
    """As `mounted`, but the command ends once its mount is there, as it does for users."""
    return _mounted_by(partial(empirical_mount, first=heed_signals), path, url, options, key, variables)


def mounted_by_program(
    path: Path,
    url: str,
    *options: str | Path,
    key: str = KEY,
    variables: Mapping[str, str | None] | None = None,
) -> AbstractContextManager[Mounted]:
    """As `mounted`, but by the command as users start it, for tests of what the system shows of a mount."""
    return _mounted_by(_run_program, path, url, options, key, variables)


def _run_program(*arguments: str | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return run(*mount_command(*arguments), env=env)


@contextmanager
def _mounted_by(  # noqa: PLR0913, PLR0917 - what it mounts, and how
    command: Callable[..., subprocess.CompletedProcess[str]],
    path: Path,
    url: str,
    options: Sequence[str | Path],
    key: str,
    variables: Mapping[str, str | None] | None,
) -> Iterator[Mounted]:
    """Mount by a command that ends once its mount is there, and unmount afterwards."""
    log = path.with_name(f"{path.name}.log")
    wanted = environment(**{"EMPIRICALRUN_KEY": key, **(variables or {})})
    done = command("--api-url", url, "--log-file", log, *options, path, env=wanted)
    try:
        yield Mounted(path, log, done.stdout + done.stderr)
    finally:
        unmount(path)


def unmount(path: Path) -> None:
    """Unmount if necessary, and check that neither the mount nor its process is left."""
    _detach(path)
    for each in processes(path):
        _await_end(each, _END_SECONDS)
    wait_until(lambda: not processes(path), f"the end of the process that served {path}", _END_SECONDS)


def _detach(path: Path) -> None:
    if str(path) in mounts():
        run("fusermount", "-u", "-z", path)
        assert str(path) not in mounts()


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The line that a failed program wrote to stderr; fails unless there is exactly one."""
    lines: Sequence[str] = done.stderr.splitlines()
    assert len(lines) == 1, f"one line expected: {done.stderr!r}"
    return lines[0]
