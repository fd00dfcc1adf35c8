"""A real mount against a plain model of the project, by operations that hypothesis thinks of.

The same few examples in every run; for a larger campaign, with other examples for every seed:

    EMPIRICAL_MODEL_EXAMPLES=200 pytest -s --timeout 3600 --hypothesis-seed=1 tests/mount/test_model.py

With EMPIRICAL_MODEL_SHRINK=1 a failure is made as short as can be, which takes its time. What fails says
which steps led to it. Timing is part of the game, so the same steps need not fail again.
"""

import errno
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.models.contents.comparison import EVERYTHING, Comparison
from tests.models.contents.world import BREAKS, STUMBLES, OpenFile, Project, project_in
from tests.support.harness import noise

KIB = 2**10
CAMPAIGN = int(os.environ.get("EMPIRICAL_MODEL_EXAMPLES", "0"))
SHRINKS = "EMPIRICAL_MODEL_SHRINK" in os.environ
EXAMPLES, STEPS = (CAMPAIGN, 60) if CAMPAIGN else (9, 40)
TIMEOUT = "2"
FILES_MAX, HANDLES_MAX = 6, 6

WHICH = st.integers(0, 11)
SIZES = st.sampled_from([5000, 1, 0, 4 * KIB, 100_000, 128 * KIB + 1, 700_000, 1_500_000, 3_000_000])
LENGTHS = st.sampled_from([0, 1, 511, 4 * KIB, 4 * KIB + 1, 64 * KIB, 128 * KIB, 300_000, 2_000_000])
PERMILLE = st.integers(0, 1100)
NUDGE = st.integers(-1, 1)
WANTED = st.sampled_from(["a.bin", "b.bin", "c", "ü.txt"])
CHANGES = st.sampled_from(
    ["as large", "upload", "rename", "smaller", "larger", "delete", "grow", "any", "as large", "rename"]
)
WAYS = st.sampled_from(["pread", "pread", "sendfile", "map"])


class Machine(Comparison):
    """Does the same to the mount and to the model, and compares."""

    def __init__(self, project: Project, folder: Path) -> None:
        super().__init__(project, folder)
        self.contents = 0

    @initialize(
        refresh=st.sampled_from(["0.05", "0.05", "0.6"]),
        manners=st.fixed_dictionaries(
            {},
            optional={
                "by_id": st.just(False),  # noqa: FBT003 - a plan's field
                "signed_by": st.just("content-endpoint"),
                "ranges": st.sampled_from(["200-with-content-range", "ignored"]),
            },
        ),
        sizes=st.lists(SIZES, min_size=2, max_size=3),
    )
    def begin(self, refresh: str, manners: dict[str, object], sizes: list[int]) -> None:
        with self.step(f"mount, --refresh {refresh}, {manners}, {sizes}"):
            self.project.begin(**manners)
            for size in sizes:
                self.project.upload("a.bin", self.content(size))
            self.mount("--refresh", refresh, "--timeout", TIMEOUT)

    @rule(which=WHICH, how=CHANGES, size=SIZES, wanted=WANTED)
    def change(self, which: int, how: str, size: int, wanted: str) -> None:
        resources = sorted(self.model.files)
        if (how == "delete" and len(resources) == 1) or (how == "upload" and len(resources) == FILES_MAX):
            how = "grow"
        resource = resources[which % len(resources)]
        old = self.model.files[resource].version.content
        contents: dict[str, Callable[[], bytes]] = {
            "as large": lambda: self.content(len(old)),
            "smaller": lambda: self.content(len(old) // 2),
            "larger": lambda: self.content(len(old) * 3 // 2 + 1),
            "grow": lambda: old + self.content(5000),
            "any": lambda: self.content(size),
        }
        with self.step(f"{how}: {resource}, {len(old)} bytes (or {wanted}, {size} bytes)"):
            if how == "upload":
                self.project.upload(wanted, self.content(size))
            elif how == "rename":
                self.project.rename(resource, wanted)
            elif how == "delete":
                self.project.delete(resource)
            else:
                self.project.replace(resource, contents[how]())

    @rule(which=WHICH, kernel_reads_ahead=st.booleans())
    def open(self, which: int, kernel_reads_ahead: bool) -> None:  # noqa: FBT001 - hypothesis names it
        names = [*self.model.names(), "never there"]
        name = names[which % len(names)]
        with self.step(f"open {name}, ahead: {kernel_reads_ahead}"):
            try:
                descriptor = os.open(self.mounted / name, os.O_RDONLY)
            except FileNotFoundError:
                self.saw("ENOENT")
                self.model.saw_file(name, None)
                return
            except OSError as error:
                if not self.model.is_not_opened(name, error.errno or 0):
                    raise
                self.saw(errno.errorcode[error.errno or 0])
                return
            try:
                if not kernel_reads_ahead:
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
                self.files.append(OpenFile(descriptor, self.model.opened(name)))
            except BaseException:
                os.close(descriptor)
                raise
        if len(self.files) > HANDLES_MAX:
            self.files.pop(0).close()

    @rule(which=WHICH)
    def close(self, which: int) -> None:
        if self.files:
            file = self.files.pop(which % len(self.files))
            with self.step(f"close {file.handle.name}"):
                file.close()

    @rule(which=WHICH, reads=st.lists(st.tuples(PERMILLE, NUDGE, LENGTHS, WAYS), min_size=1, max_size=5))
    def read(self, which: int, reads: list[tuple[int, int, int, str]]) -> None:
        for permille, nudge, length, way in reads:
            if file := self.file(which):
                offset = max(file.handle.size * permille // 1000 + nudge, 0)
                self.read_part(file, offset, length, way)

    @rule(which=WHICH, seek_to=st.none() | PERMILLE, lengths=st.lists(LENGTHS, min_size=1, max_size=4))
    def read_on(self, which: int, seek_to: int | None, lengths: list[int]) -> None:
        if file := self.file(which):
            if seek_to is not None:
                os.lseek(file.descriptor, file.handle.size * seek_to // 1000, os.SEEK_SET)
            for length in lengths:
                self.compare(file, "read", file.read_on, os.lseek(file.descriptor, 0, os.SEEK_CUR), length)

    @rule(which=WHICH)
    def read_all(self, which: int) -> None:
        if file := self.file(which):
            self.compare(file, "pread", file.pread, 0, EVERYTHING)

    @rule()
    def read_all_at_once(self) -> None:
        with ThreadPoolExecutor(HANDLES_MAX + 1) as pool:
            outcomes = list(pool.map(lambda file: file.pread(0, EVERYTHING), self.files))
        for file, outcome in zip(list(self.files), outcomes, strict=True):
            self.compare_one(file, "at once", lambda *_, known=outcome: known, 0, EVERYTHING)
        self.settle_if_reads_fail()

    @rule()
    def look(self) -> None:
        with self.step("look"):
            self.look_at_all()

    @rule(which=WHICH)
    def drop_pages(self, which: int) -> None:
        if file := self.file(which):
            with self.step(f"drop the kernel's pages of {file.handle.name}"):
                os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    @rule(what=st.sampled_from(["expire", "cut", *STUMBLES]))
    def stumble(self, what: str) -> None:
        self.trouble(what)

    @rule(what=st.sampled_from([*BREAKS]))
    def damage(self, what: str) -> None:
        self.trouble(what)

    @rule()
    def converge(self) -> None:
        with self.step("mend and converge"):
            self.settle()

    def content(self, size: int) -> bytes:
        self.contents += 1
        return noise(size, self.contents)

    def file(self, which: int) -> OpenFile | None:
        if not self.files:
            self.open(which, True)  # noqa: FBT003
        return self.files[which % len(self.files)] if self.files else None

    def trouble(self, what: str) -> None:
        if not self.model.is_broken:
            with self.step(f"trouble: {what}"):
                self.project.trouble(what)


@pytest.mark.may_warn(
    "(read|open) /[^:]*: ",
    "127.0.0.1 (is out of reach|answers again)",
    "the listing could not be refreshed, .*: ",
)
def test_a_mount_against_the_model(tmp_path: Path) -> None:
    """Whatever is done to a project and its mount, in any order, all that is seen is as it may be."""
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=not CAMPAIGN,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink] if SHRINKS else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with project_in(tmp_path) as project:

        class Here(Machine):
            def __init__(self) -> None:
                super().__init__(project, tmp_path)

        try:
            run_state_machine_as_test(Here, settings=chosen)
        finally:
            sys.stdout.write(f"\n{project.tally}\n")
