"""The real thing that the model is held against: a project behind a cable, its faults, and open files."""

import mmap
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.models.contents.model import Handle, Model, Outcome
from tests.support.cable import Cable, laid
from tests.support.harness import KEY, Sandbox, serving

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN = 10**9
_NOT_FOUND = 404
_HOURS_2 = 7200

Fault = dict[str, Any]


def _object(action: Fault, **limits: Any) -> Fault:
    return {"on": "object", "action": action, **limits}


def _status(code: int) -> Fault:
    return {"type": "status", "status": code}


STUMBLES: dict[str, list[Fault]] = {
    "reset": [_object({"type": "reset"}, times=1)],
    "reset twice": [_object({"type": "reset"}, times=2)],
    "busy": [_object(_status(503), times=2)],
    "refused": [_object(_status(403), times=1)],
    "cut at once": [_object({"type": "cut", "after": 0}, times=1)],
    "cut": [_object({"type": "cut", "after": 70_000}, times=2)],
    "hesitant": [_object({"type": "stall", "after": 5000, "seconds": 0.2}, times=2)],
    "no listing": [{"on": "list", "action": _status(500), "times": 1}],
    "a page": [{"on": "list", "action": {"type": "html"}, "times": 1}],
    "no signature": [{"on": "get", "action": _status(503), "times": 1}],
}
"""What passes so soon that no reader may notice."""

BREAKS: dict[str, list[Fault] | Callable[[Cable], None]] = {
    "the store fails": [_object(_status(500))],
    "the store resets": [_object({"type": "reset"})],
    "the store is silent": [_object({"type": "silence"})],
    "the store stalls": [_object({"type": "stall", "after": 1000, "seconds": 60})],
    "the store refuses": [_object(_status(403))],
    "the API fails": [{"on": each, "action": _status(500)} for each in ("list", "get")],
    "the API is silent": [{"on": each, "action": {"type": "silence"}} for each in ("list", "get")],
    "no network": Cable.refuse,
    "a dark network": Cable.darken,
    "old connections are dark": Cable.sever,
}
"""What lasts until it is healed; some of it is not noticed either."""


@dataclass
class Tally:
    """What was done and seen."""

    examples: int = 0
    operations: int = 0
    reads: int = 0
    bytes_right: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.examples} examples, {self.operations} operations, {self.reads} reads, "
            f"{self.bytes_right} bytes right, errors: {dict(self.errors)}"
        )


class Project:
    """A real project, and what changes it and the model alike."""

    def __init__(self, sandbox: Sandbox, cable: Cable) -> None:
        """Change the project of `sandbox`, which answers at the far end of `cable`."""
        self.url = cable.url
        self.model = Model()
        self.tally = Tally()
        self._sandbox = sandbox
        self._cable = cable
        self._client = httpx.Client(
            base_url=sandbox.url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
        )
        self._manners: dict[str, Any] = {}
        self._ahead = 0
        self._uploads = 0
        self._paths: dict[int, str] = {}
        self._changed_us = 0

    def close(self) -> None:
        self._client.close()

    def begin(self, **manners: Any) -> None:
        """Begin anew with an empty project and a well server that has these manners."""
        for each in self._sandbox.folder.iterdir():
            shutil.rmtree(each)
        self.model, self._manners = Model(), manners
        self.mend()
        self.tally.examples += 1

    def upload(self, wanted: str, content: bytes) -> int:
        """Add a file; its id."""
        self._uploads += 1
        # In the order in which the sandbox numbers paths, so that the id is known.
        self._paths[self._uploads] = f"{self._uploads:06}/{wanted}"
        self._put(self._uploads, wanted, content)
        # A look for something else has the sandbox see the file, whatever faults there are.
        answer = self._client.patch(f"/api/resources/{_UNKNOWN}", json={})
        assert answer.status_code == _NOT_FOUND
        return self._uploads

    def replace(self, resource: int, content: bytes) -> None:
        self._put(resource, None, content)

    def rename(self, resource: int, wanted: str) -> None:
        answer = self._client.patch(f"/api/resources/{resource}", json={"name": wanted}).raise_for_status()
        moment = datetime.fromisoformat(answer.json()["data"]["resource"]["updated_at"])
        self.model.rename(resource, wanted, (moment - _EPOCH) // timedelta(microseconds=1) * 1000)

    def delete(self, resource: int) -> None:
        (self._sandbox.folder / self._paths[resource]).unlink()
        self.model.delete(resource)

    def trouble(self, what: str) -> None:
        """Have something go wrong: one of STUMBLES or BREAKS, a `cut` of all connections, or `expire`."""
        if what == "expire":  # all URLs that were signed so far
            self._ahead += _HOURS_2
            self._plan([])
        elif what == "cut":
            self._cable.cut()
        elif what in STUMBLES:
            self._plan(STUMBLES[what])
        else:
            self.model.is_broken = True
            way = BREAKS[what]
            if isinstance(way, list):
                self._plan(way)
            else:
                way(self._cable)

    def mend(self) -> None:
        """Put everything right; it may take the mount a while to notice."""
        self._cable.plug()
        self._plan([])

    def _plan(self, faults: list[Fault]) -> None:
        self._sandbox.plan(**self._manners, clock_offset_s=self._ahead, faults=faults)

    def _put(self, resource: int, wanted: str | None, content: bytes) -> None:
        # The clock of the file system is coarse, and the server's may be ahead.
        now_us = time.time_ns() // 1000 + self._ahead * 10**6
        self._changed_us = max(now_us, self._changed_us + 10)
        path = self._sandbox.put(self._paths[resource], content, self._changed_us / 1e6)
        self.model.write(resource, wanted, content, path.stat().st_mtime_ns // 1000 * 1000)


@contextmanager
def project_in(folder: Path) -> Iterator[Project]:
    """A project, and everything that it takes, in `folder`."""
    with (
        laid() as cable,
        serving(folder / "project", folder / "url", "--public-host", cable.host) as sandbox,
    ):
        cable.plug(sandbox.url)
        project = Project(sandbox, cable)
        try:
            yield project
        finally:
            project.close()


def _copied(copy: Callable[[int, int], int], length: int) -> Outcome:
    """What `copy` puts into a file that it is given, from a place to the end, until all is there."""
    target = os.memfd_create("read")
    try:
        done, error = 0, None
        try:
            while count := copy(target, done) if done < length else 0:
                done += count
        except OSError as failure:
            error = failure.errno or -1
        return Outcome(os.pread(target, length, 0), error)
    finally:
        os.close(target)


@dataclass(frozen=True)
class OpenFile:
    """A descriptor, and what the model knows of it."""

    descriptor: int
    handle: Handle

    def pread(self, offset: int, length: int) -> Outcome:
        """Read as `pread` does."""

        def copy(target: int, done: int) -> int:
            return os.write(target, os.pread(self.descriptor, length - done, offset + done))

        return _copied(copy, length)

    def read_on(self, offset: int, length: int) -> Outcome:
        """Read as `read` does; `offset` is where it is expected to be."""
        assert os.lseek(self.descriptor, 0, os.SEEK_CUR) == offset

        def copy(target: int, done: int) -> int:
            return os.write(target, os.read(self.descriptor, length - done))

        outcome = _copied(copy, length)
        assert os.lseek(self.descriptor, 0, os.SEEK_CUR) == offset + len(outcome.got)
        return outcome

    def sendfile(self, offset: int, length: int) -> Outcome:
        """Read as `sendfile` does."""

        def copy(target: int, done: int) -> int:
            return os.sendfile(target, self.descriptor, offset + done, length - done)

        return _copied(copy, length)

    def mappable(self, offset: int, length: int) -> int:
        """How many of these bytes a mapping can hold.

        `fstat` tells of the path, whatever it means by now: the kernel does not say which handle asks.
        """
        try:
            size = os.fstat(self.descriptor).st_size
        except OSError:
            return 0
        return max(min(length, min(size, self.handle.least_size) - offset), 0)

    def map(self, offset: int, length: int) -> Outcome:
        """Read a private mapping; the kernel reads it for us, and tells EFAULT where we would get SIGBUS."""
        try:
            mapped = mmap.mmap(self.descriptor, offset + length, mmap.MAP_PRIVATE, mmap.PROT_READ)
        except (OSError, ValueError):  # the file became smaller since it was looked at
            return self.pread(offset, length)
        with mapped, memoryview(mapped) as view:

            def copy(target: int, done: int) -> int:
                with view[offset + done : offset + length] as rest:
                    return os.write(target, rest)

            return _copied(copy, length)

    def close(self) -> None:
        os.close(self.descriptor)
