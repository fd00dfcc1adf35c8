"""What every row works with: the store, a fresh mount, and caches in a known state."""

import contextlib
import mmap
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.bench.figures import MOUNTS, Line, Who
from tests.bench.link import Link
from tests.bench.mounts import RCLONE, Caching, Mount, mounting
from tests.bench.store import MIB, Project, Store
from tests.support.harness import mount_command, run

_PROGRAMS = ("dd", "cmp", "ls", "rsync", "file", "head")
_TOUCHED = 2 * 2**30
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much each row does."""

    large: int = 1024 * MIB
    long: int = 400 * MIB
    reads: int = 50
    walked: int = 1000
    listed: int = 10_000
    listed_by_rclone: int = 1000
    opened: int = 20
    many: int = 32
    many_size: int = 32 * MIB
    scattered: int = 100
    peeked: int = 50
    refreshed: tuple[int, ...] = (5000, 50_000)
    fetched: int = 1000
    ranged: int = 100
    ranges: int = 10_000
    got: int = 1000
    parquet: int = 1024 * MIB


QUICK = Sizes(
    large=256 * MIB,
    long=100 * MIB,
    reads=20,
    walked=200,
    listed=2000,
    listed_by_rclone=200,
    opened=10,
    many=8,
    many_size=16 * MIB,
    scattered=40,
    peeked=20,
    refreshed=(1000,),
    fetched=100,
    ranges=2000,
    got=200,
    parquet=128 * MIB,
)
"""To see that everything works; the goals are meant for the full sizes."""


class Bench:
    """The store, the link to it, and a folder for everything else."""

    def __init__(self, store: Store, link: Link, folder: Path) -> None:
        self.store = store
        self.link = link
        self.folder = folder

    def mounted(
        self, who: Who, project: Project, caching: Caching | None = None
    ) -> AbstractContextManager[Mount]:
        """A fresh mount of `project`, with a cache on disk if one is given."""
        return mounting(who, self.store, project, self.folder / "mnt", caching)

    def forget(self, path: Path) -> None:
        """Have the next reader of a local file get its bytes from the disk."""
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def settle(self, project: Project) -> None:
        """Have the store's files in memory and, as far as we may, nothing else of them."""
        os.sync()
        if os.geteuid() == 0:
            # A container's root may not.
            with contextlib.suppress(OSError):
                _DROP_CACHES.write_text("3")
            _load_programs()
        self.own_memory()
        self.store.warm(project)

    def own_memory(self) -> None:
        """Have the machine own as much memory as a measurement will take.

        A virtual machine may have given memory that it did not use back to its host, and who is measured
        then would wait for the host.
        """
        free = os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
        with mmap.mmap(-1, min(_TOUCHED, free // 2)) as memory:
            for page in range(0, len(memory), mmap.PAGESIZE):
                memory[page] = 1

    @contextlib.contextmanager
    def empty_folder(self) -> Iterator[Path]:
        """A folder that is there for the block, whatever modes what is put into it has."""
        folder = self.folder / "copy"
        folder.mkdir()
        try:
            yield folder
        finally:
            # rsync -a of a read-only directory made it read-only.
            folder.chmod(0o700)
            shutil.rmtree(folder)


class Row(ABC):
    """A piece of work whose figures are compared."""

    who: ClassVar[tuple[Who, ...]] = MOUNTS
    slow: ClassVar[tuple[Who, ...]] = ()
    """Those who take long; a quick run measures them once."""

    def __init__(self, name: str, project: Project, *lines: Line) -> None:
        self.name = name
        self.project = project
        self.lines = lines

    @property
    def group(self) -> str:
        """What `--rows` knows it as."""
        return self.name.split()[0]

    @abstractmethod
    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        """The figures of `who` in round `number`, from 1; what is no figure of theirs is left out."""


def _load_programs() -> None:
    """Read from disk what is timed later, now that dropping the caches has removed it from memory."""
    for program in _PROGRAMS:
        run(program, "--version")
    run(*mount_command("--version"))
    run(RCLONE, "version")
