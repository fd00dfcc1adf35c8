"""What every step of the model test does: it is noted, done to the mount, and compared with the model."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine

from tests.models.contents.model import File, Outcome
from tests.models.contents.world import OpenFile, Project
from tests.models.steps import Steps
from tests.support.harness import Mounted, mounted, wait_until

EVERYTHING = 4_000_000
_FAILED_READS = 2


class Comparison(RuleBasedStateMachine):
    """A mount beside the model, and the files that are open."""

    def __init__(self, project: Project, folder: Path) -> None:
        """Mount `project` below `folder`, once it is begun."""
        super().__init__()
        self.project = project
        self.files: list[OpenFile] = []
        self._folder = folder
        self._stack = ExitStack()
        self._steps = Steps(lambda: ["The log:", *self._log()])
        self._failed_reads = 0

    def mount(self, *options: str) -> None:
        """Mount the project as it is."""
        self.model = self.project.model
        path = self._folder / f"mnt{self.project.tally.examples}"
        self.mounted: Mounted = self._stack.enter_context(mounted(path, self.project.url, *options))
        self.settle()

    def teardown(self) -> None:
        """See whether all is well in the end, unless something was wrong already; leave nothing."""
        try:
            if not self._steps.has_failed and hasattr(self, "mounted"):
                with self.step("mend, converge, and read all once more"):
                    self.settle()
                    for file in self.files:
                        self.compare(file, "pread", file.pread, 0, EVERYTHING)
                    wrong = [line for line in self.mounted.log_lines() if " ERROR " in line]
                    assert wrong == []
        finally:
            self.project.mend()
            for file in self.files:
                file.close()
            self._stack.close()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Do something that is named if anything goes wrong."""
        self.project.tally.operations += 1
        with self._steps.step(what):
            yield

    def _log(self) -> list[str]:
        with suppress(OSError, AttributeError):
            return self.mounted.log_lines()[-30:]
        return []

    def read_part(self, file: OpenFile, offset: int, length: int, way: str) -> None:
        """Read in one of the ways that `OpenFile` has, or as `pread` does where that one is not possible."""
        if way == "map":
            mappable = file.mappable(offset, length)
            way, length = ("map", mappable) if mappable else ("pread", length)
        read: Callable[[int, int], Outcome] = getattr(file, way)
        self.compare(file, way, read, offset, length)

    def saw(self, error: str) -> None:
        """Count an error that was to be expected."""
        self.project.tally.errors[error] += 1

    def compare(
        self, file: OpenFile, way: str, read: Callable[[int, int], Outcome], offset: int, length: int
    ) -> None:
        """Read, and see whether the model agrees."""
        self.compare_one(file, way, read, offset, length)
        self.settle_if_reads_fail()

    def compare_one(
        self, file: OpenFile, way: str, read: Callable[[int, int], Outcome], offset: int, length: int
    ) -> None:
        """As `compare`, and mend nothing: of several reads at once, the others failed before that, too."""
        with self.step(f"{way} {file.handle.name} from {offset} for {length}"):
            outcome = read(offset, length)
            self._steps.done[-1] += f": {outcome}"
            file.handle.gave(outcome, offset, length)
            self.project.tally.reads += 1
            self.project.tally.bytes_right += len(outcome.got)
            if outcome.error is not None:
                self.saw(errno.errorcode[outcome.error])
            if outcome.error == errno.EIO:
                self._failed_reads += 1

    def settle_if_reads_fail(self) -> None:
        """Mend all once that many reads have failed, since each takes its time."""
        if self._failed_reads >= _FAILED_READS:
            with self.step("mend and converge, for reads fail"):
                self.settle()

    def look_at_all(self) -> None:
        """List the directory, and look at each file that it may have."""
        names = [each.name for each in self.mounted.path.iterdir()]
        assert len(names) == len(set(names))
        self.model.saw_names(set(names))
        for name in self.model.names():
            try:
                seen = (self.mounted / name).stat()
            except FileNotFoundError:
                self.model.saw_file(name, None)
            else:
                self.model.saw_file(name, (seen.st_size, seen.st_mtime_ns))
        space = os.statvfs(self.mounted.path)
        self.model.saw_space(space.f_blocks, space.f_frsize, space.f_files - 1)

    def settle(self) -> None:
        """Mend all, wait until the mount shows what is, and read it; as long as that takes reads may fail."""
        self.project.mend()
        if self.model.is_broken or self.model.was_like_this():
            # Else the mount might show what is without having looked.
            resource = next(iter(self.model.files))
            self.project.rename(resource, self.model.files[resource].wanted)

        def is_settled() -> bool:
            self.look_at_all()
            return self.model.is_settled()

        wait_until(is_settled, "the files as they are")
        assert self.mounted.names() == set(self.model.now())
        for name, file in self.model.now().items():
            if self.model.is_broken:
                wait_until(lambda name=name, file=file: self.is_right(name, file), f"{name}, right")  # type: ignore[misc]
            assert self.is_right(name, file), f"{name} cannot be read although all is well"
        self.model.is_broken = False
        self._failed_reads = 0

    def is_right(self, name: str, file: File) -> bool:
        """Whether a file can be read; its bytes must be right in any case."""
        try:
            with (self.mounted / name).open("rb", buffering=0) as opened:
                if self.model.is_broken:  # what the kernel holds says nothing of the network
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                content = opened.read()
        except OSError as error:
            self._steps.done.append(f"reading {name}: {errno.errorcode[error.errno or 0]}")
            if error.errno != errno.EIO:
                raise
            return False
        assert content == file.version.content, f"{name} has other bytes"
        return True
