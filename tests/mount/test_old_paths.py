"""A file that a container opened, or had mounted, by a path that leads to an old version."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mount.test_inodes import OLD_TIME, ONLY_ROOT, library, put, shows, version
from tests.support.harness import Mounted, Sandbox, environment, mounted, wait_until
from tests.support.namespaces import apart

__all__ = ["library"]

SIZE = 300_000
CONTAINER = """
import json, os, subprocess, sys
staged, inside = sys.argv[2:]
# As a kubelet does with a subPath: a file of the volume is bound aside, and that into the container.
subprocess.run(["mount", "--bind", sys.argv[1], staged], check=True)
subprocess.run(["mount", "--bind", staged, inside], check=True)
subprocess.run(["umount", staged], check=True)
kept = None
def keep():
    global kept
    kept = open(inside, "rb", buffering=0)
    return kept.read(10).decode()
def leave():
    kept.close()
def look():
    found = os.stat(inside)
    with open(inside, "rb") as file:
        content = file.read()
    return [found.st_size, found.st_mtime, sorted(set(content.decode())), len(content)]
def read_kept():
    os.posix_fadvise(kept.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return os.pread(kept.fileno(), 10, 1000).decode()
for line in sys.stdin:
    try:
        answer = globals()[line.strip()]()
    except OSError as error:
        answer = os.strerror(error.errno)
    print(json.dumps(answer), flush=True)
"""


class Container:
    """A process in a mount namespace of its own, which has one file of the mount at a path of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def asked(self, what: str) -> object:
        """What it answers; the text of an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def container(path: Path, folder: Path) -> Iterator[Container]:
    """One that has the file at `path`."""
    staged, inside = folder / "staged", folder / "inside"
    staged.touch()
    inside.touch()
    command = apart(sys.executable, "-c", CONTAINER, path, staged, inside, keeping=path.parent)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        yield Container(process)
        assert process.stdin is not None
        process.stdin.close()


def redate(sandbox: Sandbox, number: int) -> None:
    """The listing has another date, and the store the same object."""
    moment = datetime.fromtimestamp(OLD_TIME + number, UTC)
    sandbox.override({"a": {"updated_at": moment.isoformat()}})


@pytest.fixture
def mount(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> Iterator[Mounted]:
    put(sandbox, "a", 0)
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=library) as mount:
        yield mount


def seen(number: int, content: int, size: int = SIZE) -> list[object]:
    """What a container sees of a version."""
    return [size, OLD_TIME + number, [chr(version(content, 1)[0])], size]


@ONLY_ROOT
def test_another_date_of_the_same_content(sandbox: Sandbox, mount: Mounted, tmp_path: Path) -> None:
    """It opens by the old path, with the date of now, whoever has it open; and reads on where it is open."""
    with container(mount / "a", tmp_path) as inside:
        assert inside.asked("look") == seen(0, 0)
        assert inside.asked("keep") == "A" * 10
        for number in (21, 22, 23):
            redate(sandbox, number)
            wait_until(lambda number=number: shows(mount / "a", number), "the new date")  # type: ignore[misc]
            assert inside.asked("look") == seen(number, 0)
            assert inside.asked("read_kept") == "A" * 10
            assert (mount / "a").read_bytes() == version(0)
        assert inside.asked("leave") is None
        redate(sandbox, 30)
        wait_until(lambda: shows(mount / "a", 30), "the new date")
        assert inside.asked("look") == seen(30, 0)


@ONLY_ROOT
@pytest.mark.may_warn("read /a: the (file changed since|object has)")
def test_another_content(sandbox: Sandbox, mount: Mounted, tmp_path: Path) -> None:
    """It opens by the old path once nobody has the old version open, and is never a mixture before."""
    with container(mount / "a", tmp_path) as inside:
        assert inside.asked("look") == seen(0, 0)
        put(sandbox, "a", 1, SIZE * 2)
        wait_until(lambda: shows(mount / "a", 1), "the new version")
        assert inside.asked("look") == seen(1, 1, SIZE * 2)
        assert inside.asked("keep") == "B" * 10
        for number, size in ((2, SIZE * 2), (3, SIZE)):
            put(sandbox, "a", number, size)
            wait_until(lambda number=number: shows(mount / "a", number), "the new version")  # type: ignore[misc]
            assert inside.asked("look") == inside.asked("read_kept") == "Stale file handle"
        assert inside.asked("leave") is None
        assert inside.asked("look") == seen(3, 3)
        (sandbox.folder / "a").unlink()
        wait_until(lambda: not mount.names(), "the end of the file")
        assert inside.asked("look") == "Stale file handle"


@ONLY_ROOT
def test_a_date_while_the_store_is_silent(sandbox: Sandbox, mount: Mounted, tmp_path: Path) -> None:
    """Nobody waits long, nothing is mixed, and all is well when the store answers again."""
    with container(mount / "a", tmp_path) as inside:
        assert inside.asked("keep") == "A" * 10
        sandbox.plan(faults=[{"on": "object", "action": {"type": "status", "status": 500}}])
        redate(sandbox, 21)
        wait_until(lambda: shows(mount / "a", 21), "the new date")
        assert inside.asked("look") == "Stale file handle"
        sandbox.plan()
        wait_until(lambda: inside.asked("look") == seen(21, 0), "the file")
