"""The real thing beside the model of attributes: a project, and a program that looks at its mount."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.models.attributes.model import Json, Told
from tests.support.harness import PATIENCE, Sandbox, environment, serving, wait_until

_DATE = 1_000_000_000
_UNTOLD_IDS = 10**12
_TOP = Path(__file__).parents[3]


@dataclass
class Tally:
    """What was done and compared."""

    examples: int = 0
    steps: int = 0
    changes: int = 0
    comparisons: int = 0
    walks: int = 0

    def __str__(self) -> str:
        return (
            f"{self.examples} mounts, {self.steps} reloads, {self.changes} changes, "
            f"{self.comparisons} comparisons, {self.walks} walks beside"
        )


@dataclass
class Project:
    """The project of a sandbox, which says of its resources what it is told and nothing else."""

    sandbox: Sandbox
    tally: Tally = field(default_factory=Tally)
    inodes: dict[int, int] = field(default_factory=dict)
    """The inode number of each resource, in every mount."""
    _paths: dict[tuple[int, bytes], str] = field(default_factory=dict)
    """Where each content of a resource lies, or lay."""
    _told: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What the API tells now, by the path of the content."""
    _tellings: int = 0

    def publish(self, told: dict[int, Told]) -> None:
        """Have the API tell of these resources from now on, and of all of them at once.

        The mount may fetch the listing at any time. So contents lie there before they are told of, and until
        no listing is of them any more; without being told of, a file would be listed by its path.
        """
        before, self._told = self._told, {}
        for each in told.values():
            path = self._paths.setdefault((each.id, each.content), f"{len(self._paths) + 1:06}")
            self._told[path] = _listed(each)
        self._tell(before)
        for (_, content), path in self._paths.items():
            if path in self._told and not (self.sandbox.folder / path).exists():
                # With its own date, for the same object is to have the same ETag when it returns.
                self.sandbox.put(path, content, _DATE + int(path))
        self._tell(self._told)
        wait_until(lambda: not self.sandbox.requests()["in_flight"]["api"], "the end of older listings")
        for path in set(self._paths.values()) - self._told.keys():
            (self.sandbox.folder / path).unlink(missing_ok=True)

    def _tell(self, fields: dict[str, dict[str, Json]]) -> None:
        others = set(self._paths.values()) - fields.keys()
        untold = {path: {"id": _UNTOLD_IDS + int(path), "status": "pending"} for path in others}
        self._tellings += 1
        # The sandbox reads the file again when it has another date.
        self.sandbox.put(".sandbox.json", json.dumps({**untold, **fields}).encode(), _DATE + self._tellings)


def _listed(told: Told) -> dict[str, Json]:
    fields = {"id": told.id, "name": told.name, **dict(told.fields)}
    if told.page is not None:
        return {**fields, "size_bytes": None, "url": told.page}
    return {**fields, "size_bytes": len(told.content) if told.is_sized else None}


@dataclass
class OpenFile:
    """A descriptor, and what it may be for by all that it has shown."""

    descriptor: int
    versions: list[Told]
    """One version, or several that nobody can tell apart so far; the oldest first."""
    is_read: bool = False

    @property
    def id(self) -> int:
        """The resource that was opened."""
        return self.versions[0].id

    def may_become(self, now: Told | None) -> None:
        """Take the current version for possible, if it has the same bytes, or the size while none were read.

        Equal attributes do not make it possible: the page of a link may change without its date.
        """
        if now is None or any(each.version == now.version for each in self.versions):
            return
        contents = [each.shown_content for each in self.versions]
        has_size = any(len(each) == len(now.shown_content) for each in contents)
        if now.shown_content in contents or (has_size and not self.is_read):
            self.versions.append(now)

    def narrow(self, fitting: list[Told]) -> bool:
        """Keep only the versions that fit; if none does, keep all of them, and return False."""
        self.versions = fitting or self.versions
        return bool(fitting)


class Walker:
    """The program that looks all the time."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "tests.models.attributes.walker", str(path)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_TOP, env=environment()
        )

    def stop(self) -> dict[str, Any]:
        """What it saw."""
        said, _ = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0
        seen: dict[str, Any] = json.loads(said)
        return seen

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """A project whose resources lie in `folder`."""
    with serving(folder / "project", folder / "url") as sandbox:
        yield Project(sandbox)
