"""A real mount beside the model of what it shows: random changes, `--reload`, and a look at everything.

A program that never stops looking runs beside. Each change is visible when the reload returns.
"""

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from empirical_fs.control.reloading import reload
from empirical_fs.work.progress import unseen
from tests.models.attributes.changes import CHANGES, Change, Changing
from tests.models.attributes.model import (
    ROOT_INODE,
    Attributes,
    Owner,
    Told,
    extended,
    look,
    shown,
    space,
)
from tests.models.attributes.world import OpenFile, Project, Walker
from tests.models.steps import Steps
from tests.support.harness import Mounted, mounted

_HANDLES_MAX = 4
_SECOND = 10**9


class Machine(RuleBasedStateMachine):
    """Changes the project, has it loaded again, and compares."""

    def __init__(self, project: Project, folder: Path) -> None:
        super().__init__()
        self._project, self._folder = project, folder
        self._stack = ExitStack()
        self._changing = Changing()
        self._opened: list[OpenFile] = []
        self._states: list[tuple[int, tuple[str, ...]]] = []
        """The date of the directory, and its names, after each reload."""
        self._allowed: set[tuple[object, ...]] = set()
        self._former: set[str] = set()
        self._last: dict[int, Told] = {}
        """What the API was told last, of each resource, whether it is listed or not."""
        self._last_of_version: dict[tuple[object, ...], Told] = {}
        self._seen_look: object = None
        self._steps = Steps()

    @initialize(
        owner=st.sampled_from([Owner(os.getuid(), os.getgid(), 0o022), Owner(1234, 5678, 0o027)]),
        more=st.sampled_from(["", ",negative_timeout=100", ",noatime"]),
        changes=st.lists(CHANGES, max_size=8),
    )
    def begin(self, owner: Owner, more: str, changes: list[Change]) -> None:
        self._owner = owner
        self._project.tally.examples += 1
        self._apply(changes)
        path = self._folder / f"mnt{self._project.tally.examples}"
        options = f"uid={owner.uid},gid={owner.gid},umask={owner.umask:o}{more}"
        with self._steps.step(f"mount -o {options}"):
            self.mount: Mounted = self._stack.enter_context(
                mounted(path, self._project.sandbox.url, "--refresh", "1000", "-o", options)
            )
            newest = max((each.shown_date_ns for each in self._changing.told.values()), default=0)
            self._same("the date of a fresh mount", path.stat().st_mtime_ns, newest)
            self._compare()
        self._walker = Walker(path)
        self._stack.callback(self._walker.kill)

    @rule(change=CHANGES)
    def change(self, change: Change) -> None:
        self._change(change)

    @rule(changes=st.lists(CHANGES, min_size=2, max_size=6))
    def change_several(self, changes: list[Change]) -> None:
        self._change(*changes)

    def _change(self, *changes: Change) -> None:
        self._apply(changes)
        with self._steps.step("reload"):
            self._reload()
            self._compare()

    @rule(which=st.integers(0, 99))
    def open(self, which: int) -> None:
        files = shown(self._changing.told.values())
        if files:
            name = sorted(files)[which % len(files)]
            with self._steps.step(f"open {name!r}"):
                descriptor = os.open(self.mount / name, os.O_RDONLY)
                self._opened.append(OpenFile(descriptor, [files[name]]))
                self._compare_opened()
        if len(self._opened) > _HANDLES_MAX:
            os.close(self._opened.pop(0).descriptor)

    @rule()
    @precondition(lambda self: self._opened)
    def read_what_is_open(self) -> None:
        with self._steps.step("read what is open"):
            for each in self._opened:
                each.may_become(self._changing.told.get(each.id))
                largest = max(len(version.shown_content) for version in each.versions)
                try:
                    content = os.pread(each.descriptor, largest + 1, 0)
                except OSError as error:
                    self._same("the error of a read", error.errno, errno.ESTALE)
                else:
                    each.is_read = True
                    self._possible("what a handle reads", content, each, _content)
            # What a reader has found out has the listing fetched at the next look, and never in a change.
            self._reload()
            self._compare()

    def teardown(self) -> None:
        try:
            if not self._steps.has_failed and hasattr(self, "_walker"):
                with self._steps.step("what the walker saw"):
                    self._compare_walk(self._walker.stop())
                    wrong = [line for line in self.mount.log_lines() if " ERROR " in line]
                    self._same("the log", wrong, [])
        finally:
            for each in self._opened:
                os.close(each.descriptor)
            self._stack.close()

    def _reload(self) -> None:
        reload(self.mount.path, unseen)
        self._project.tally.steps += 1

    def _apply(self, changes: Iterable[Change]) -> None:
        for each in changes:
            self._steps.done.append(str(each))
            self._changing.apply(each)
            self._project.tally.changes += 1
        self._project.publish(self._changing.told)
        self._last.update(self._changing.told)
        self._last_of_version.update({each.version: each for each in self._changing.told.values()})

    def _same(self, what: str, seen: object, expected: object) -> None:
        self._project.tally.comparisons += 1
        assert seen == expected, f"{what}: {seen!r:.500}, not {expected!r:.500}"

    def _possible(
        self, what: str, seen: object, opened: OpenFile, shown_of: Callable[[Told], object]
    ) -> None:
        """What an open file shows is as in one of the versions that it may be; the others are out."""
        self._project.tally.comparisons += 1
        expected = [shown_of(told) for told in opened.versions]
        fits = opened.narrow([told for told in opened.versions if shown_of(told) == seen])
        assert fits, f"{what} of resource {opened.id}: {seen!r:.500}, none of {expected!r:.1000}"

    def _compare(self) -> None:
        """Everything that can be seen of the mount."""
        files = shown(self._changing.told.values())
        with os.scandir(self.mount.path) as entries:
            listed = {each.name: (each.inode(), each.is_file(follow_symlinks=False)) for each in entries}
        self._same("the names", sorted(listed), sorted(files))
        for name, told in files.items():
            path = self.mount / name
            status = path.stat()
            inode = self._project.inodes.setdefault(told.id, status.st_ino)
            self._same(f"{name!r}: the inode number", status.st_ino, inode)
            self._same(f"{name!r}, listed", listed[name], (inode, True))
            self._same(f"{name!r}: the attributes", _attributes(status), self._owner.file(told))
            self._allowed.add((name, inode, *_walked(status)))
            names = os.listxattr(path)
            seen = {each: os.getxattr(path, each) for each in names}
            self._same(f"{name!r}: the extended attributes", seen, extended(told))
            self._same(f"{name!r}: the content", path.read_bytes(), told.shown_content)
        inodes = self._project.inodes
        self._same("how many inode numbers there are", len({*inodes.values(), ROOT_INODE}), len(inodes) + 1)
        self._compare_root(files)
        for name in sorted(self._former - files.keys()):
            self._same(f"what there is of {name!r}", _kind(self.mount / name), "nothing")
        self._former |= files.keys()
        self._compare_opened()

    def _compare_root(self, files: dict[str, Told]) -> None:
        status = self.mount.path.stat()
        self._same("the inode number of the root", status.st_ino, ROOT_INODE)
        found = replace(_attributes(status), size=0, blocks=0)
        self._same("the attributes of the root", found, self._owner.root(status.st_mtime_ns))
        now = look(files)
        if self._states:
            before = self._states[-1][0]
            has_changed = now != self._seen_look
            has_moved = status.st_mtime_ns // _SECOND > before // _SECOND
            self._same("whether the directory changed", has_moved, has_changed)
            if not has_changed:
                self._same("the date of the directory", status.st_mtime_ns, before)
        self._seen_look = now
        self._states.append((status.st_mtime_ns, tuple(sorted(files))))
        room = os.statvfs(self.mount.path)
        total, free = room.f_blocks * room.f_frsize, room.f_bfree + room.f_bavail
        seen = (total, free, room.f_files, room.f_ffree + room.f_favail, room.f_namemax)
        self._same("the space", seen, space(files.values()))

    def _compare_opened(self) -> None:
        for each in self._opened:
            now = self._changing.told.get(each.id)
            # Another date of the same bytes, or nobody had any yet.
            each.may_become(now)
            try:
                status = os.fstat(each.descriptor)
            except OSError as error:
                self._same("the error of fstat", error.errno, errno.ESTALE)
                assert now is not None, "what is deleted stays as it was"
                over = [told for told in each.versions if told.version != now.version]
                assert each.narrow(over), "a version that is not over"
                continue
            inode = self._project.inodes[each.id]
            self._same("the inode number of an open file", status.st_ino, inode)
            shown_now = _attributes(status)
            self._possible("the attributes of an open file", shown_now, each, self._owner.file)
            seen = {name: os.getxattr(each.descriptor, name) for name in os.listxattr(each.descriptor)}
            last = self._last[each.id]
            if each.id not in self._changing.told and seen != extended(last):
                # Of a version that was replaced before its resource was deleted: what was last said of that.
                said = [extended(self._last_of_version[told.version]) for told in each.versions]
                assert seen in said, f"the extended attributes of what was deleted: {seen}, none of {said}"
            else:
                self._same("the extended attributes of an open file", seen, extended(last))

    def _compare_walk(self, seen: dict[str, Any]) -> None:
        self._project.tally.walks += seen["passes"]
        self._same("the errors of the walker", seen["errors"], [])
        files = {tuple(each) for each in seen["files"]}
        self._same("what never was, as one stat told it", files - self._allowed, set())
        latest: dict[tuple[str, ...], int] = {}
        since: defaultdict[int, int] = defaultdict(lambda: len(self._states))
        for number, (date, names) in enumerate(self._states):
            latest[names] = number
            since[date] = min(since[date], number)
        for date, listed in seen["listings"]:
            names = tuple(listed)
            is_fresh = names in latest and latest[names] >= since[date]
            self._same(f"{names}, listed after {date} was seen", "fresh" if is_fresh else "old", "fresh")


def _attributes(status: os.stat_result) -> Attributes:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    owner = (status.st_uid, status.st_gid)
    return Attributes(status.st_mode, *owner, status.st_nlink, status.st_size, status.st_blocks, times)


def _kind(path: Path) -> str:
    """What a path leads to."""
    try:
        path.lstat()
    except FileNotFoundError:
        return "nothing"
    return "something"


def _content(told: Told) -> bytes:
    return told.shown_content


def _walked(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_mode, status.st_blocks


def run_machine(project: Project, folder: Path, examples: int, steps: int, number: int | None) -> None:
    """Compare in so many mounts, with so many steps each; the same ones where no seed is given."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=number is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(project, folder)

    if number is not None:
        seed(number)(Here)
    run_state_machine_as_test(Here, settings=chosen)
