"""The row on how long the commands take to start."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.bench import Bench, Row, Sizes
from tests.bench.figures import Better, Caption, Line, NoMoreThan, Who
from tests.bench.mounts import RCLONE
from tests.bench.store import MIB, File, Location, Project
from tests.support.harness import environment, mount_command, run

_NEVER = NoMoreThan(0.12)


def rows(_sizes: Sizes) -> Iterator[Row]:
    """The row of this module."""
    yield Start()


class Start(Row):
    """Commands that are over at once, and a mount of a small project."""

    who = (Who.OURS, Who.RCLONE)

    def __init__(self) -> None:
        self._version = Line("--version, CPU s", (_NEVER,))
        self._help = Line("--help, CPU s", (_NEVER,))
        self._status = Line("--status, CPU s", (_NEVER,))
        caption = Caption("Mount a project of one file", "s", Better.LESS)
        self._mount = Line("mount, s", (NoMoreThan(0.5),), caption)
        self._unmount = Line("-u, CPU s", (_NEVER,))
        lines = (self._version, self._help, self._status, self._mount, self._unmount)
        super().__init__("start", Project("start", Location.FAST, (File("small.bin", MIB),)), *lines)

    def measure(self, bench: Bench, who: Who, number: int) -> Mapping[Line, float]:
        begin = time.monotonic()
        if who is Who.RCLONE:
            with bench.mounted(who, self.project):
                mounted = time.monotonic() - begin
            return {
                self._version: _computed(RCLONE, "version"),
                self._help: _computed(RCLONE, "help"),
                self._mount: mounted,
            }
        with bench.mounted(who, self.project) as mount:
            mounted = time.monotonic() - begin
            status = _computed(*mount_command("--status", mount.path))
            unmounting = _computed(*mount_command("-u", mount.path))
        return {
            self._version: _computed(*mount_command("--version")),
            self._help: _computed(*mount_command("--help")),
            self._status: status,
            self._mount: mounted,
            self._unmount: unmounting,
        }


def _computed(*command: str | Path) -> float:
    """The CPU seconds of a command and all that it starts and waits for."""
    before = os.times()
    run(*command, env=environment())
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)
