"""The mounts that are compared, and what their processes use."""

import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import STREAMS, Who
from tests.bench.store import Project, Store
from tests.support.harness import (
    PATIENCE,
    environment,
    mounted_by_program,
    processes,
    run,
    unmount,
    wait_until,
)

RCLONE = Path(sysconfig.get_path("scripts")) / "rclone"
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)
"""In /proc/PID/stat after the command: the parent, and utime to cstime (proc(5))."""


class Mount:
    """A mount that runs, and the processes that serve it."""

    def __init__(self, path: Path, served_by: Callable[[], Iterable[int]]) -> None:
        """Measure the processes of `served_by` and all below them."""
        self.path = path
        self._served_by = served_by

    def cpu_seconds(self) -> float:
        """What the processes have spent so far, in user and system mode."""
        stats = _stats()
        spent = (int(ticks) for pid in self._family(stats) for ticks in stats[pid][_TIMES])
        return sum(spent) / _TICKS

    def peak_mib(self) -> float:
        """The most memory that the processes had resident."""
        return sum(map(_peak_kib, self._family(_stats()))) / 2**10

    def _family(self, stats: dict[int, list[str]]) -> set[int]:
        family = set(self._served_by()) & stats.keys()
        while grown := {pid for pid in stats if int(stats[pid][_PARENT]) in family} - family:
            family |= grown
        assert family, f"no process serves {self.path}"
        return family


@dataclass(frozen=True)
class Caching:
    """A cache on disk that outlives a mount."""

    folder: Path
    size: int
    """Bytes that it is to hold."""

    def options(self, who: Who) -> tuple[str | Path, ...]:
        """What turns it on."""
        if who is Who.OURS:
            return ("--cache-dir", self.folder, "--cache-min-free", "0")
        return ("--cache-dir", self.folder, "--vfs-cache-mode", "full")

    def files(self) -> list[Path]:
        return [each for each in self.folder.rglob("*") if each.is_file()]

    def is_full(self) -> bool:
        """Whether that many bytes are on disk."""
        return sum(each.stat().st_blocks * 512 for each in self.files()) >= self.size


def mounting(
    who: Who, store: Store, project: Project, path: Path, caching: Caching | None = None
) -> AbstractContextManager[Mount]:
    """A fresh mount of `project` at `path`."""
    options = () if caching is None else caching.options(who)
    match who:
        case Who.OURS:
            return _ours(store, project, path, *options)
        case Who.RCLONE:
            return _rclone(store, project, path, *options)
        case Who.STREAMS:
            return _rclone(store, project, path, *STREAMS, *options)
        case Who.BARE | Who.HTTP | Who.S3FS:
            raise ValueError(f"nothing is mounted for {who}")


def unmount_all(folder: Path) -> None:
    """Leave no mount below `folder`."""
    for path in _mounted_paths():
        if folder in path.parents:
            run("fusermount", "-u", "-z", path, check=False)


@contextmanager
def _ours(store: Store, project: Project, path: Path, *options: str | Path) -> Iterator[Mount]:
    trust, url = {"SSL_CERT_FILE": str(store.authority)}, store.api_url(project)
    try:
        with mounted_by_program(path, url, *options, variables=trust) as ours, _quoting(ours.log):
            yield Mount(path, lambda: processes(path))
            _unmount(path)
    finally:
        # Whoever was interrupted while the program started has no mount to unmount yet.
        for pid in processes(path):
            os.kill(pid, signal.SIGTERM)
        unmount(path)


@contextmanager
def _rclone(store: Store, project: Project, path: Path, *options: str | Path) -> Iterator[Mount]:
    path.mkdir(exist_ok=True)
    log = path.with_name("rclone.log")
    quiet = ("--config", os.devnull, "--cache-dir", path.with_name("cache"), "--ca-cert", store.authority)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                RCLONE,
                "mount",
                ":http:",
                path,
                "--http-url",
                store.url(project),
                "--read-only",
                *quiet,
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            # On Ctrl-C rclone would unmount by itself, in the middle of our own unmounting.
            start_new_session=True,
        )
    try:

        def is_mounted() -> bool:
            assert process.poll() is None, f"rclone ended with {process.returncode}"
            return path in _mounted_paths()

        with _quoting(log):
            wait_until(is_mounted, "rclone's mount")
            yield Mount(path, lambda: [process.pid])
            _unmount(path)
    finally:
        if path in _mounted_paths():
            run("fusermount", "-u", "-z", path, check=False)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _quoting(log: Path) -> Iterator[None]:
    """Add what the mount said last to a failure: its log is removed with everything else."""
    try:
        yield
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        for line in lines[-1:]:
            error.add_note(f"(its log: {line})")
        raise


def _unmount(path: Path) -> None:
    def is_unmounted() -> bool:
        # A process that we waited for may not quite have closed its files.
        return path not in _mounted_paths() or run("fusermount", "-u", path, check=False).returncode == 0

    wait_until(is_unmounted, f"{path} unmounted", PATIENCE)


def _mounted_paths() -> set[Path]:
    lines = _proc_text(Path("/proc/self/mountinfo")).split("\n")
    return {Path(line.split()[4]) for line in lines if " - fuse." in line}


def _proc_text(path: Path) -> str:
    """What the kernel says there; others have named their mounts and programs in any encoding."""
    return os.fsdecode(path.read_bytes())


def _stats() -> dict[int, list[str]]:
    """The fields after the command in /proc/PID/stat of every process."""
    stats = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                stats[int(each.name)] = _proc_text(each / "stat").rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile
    return stats


def _peak_kib(pid: int) -> int:
    try:
        lines = _proc_text(Path(f"/proc/{pid}/status")).split("\n")
    except OSError:
        return 0  # it ended meanwhile
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
