"""Programs that wait for more at the end of a file notice that it was replaced."""

import errno
import os
import pty
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.mount.test_inodes import OLD_TIME, library, put, shows
from tests.mount.test_old_paths import redate
from tests.support.harness import PATIENCE, Sandbox, environment, mounted, opened, run, wait_until

__all__ = ["library"]

FIRST, SECOND = b"first\n", b"first\nthe second is longer\n"


class Screen:
    """What a program wrote to its terminal so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        self._seen = b""

    def shows(self, text: bytes, times: int = 1) -> bool:
        with suppress(OSError):  # nothing yet, or its end
            while piece := os.read(self._descriptor, 2**16):
                self._seen += piece
        return self._seen.count(text) >= times


@contextmanager
def following(*command: str | Path) -> Iterator[Screen]:
    """A program at a terminal."""
    ours, theirs = pty.openpty()
    try:
        variables = environment(TERM="xterm")
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables)
        os.close(theirs)
        try:
            yield Screen(ours)
        finally:
            process.kill()
            process.wait(PATIENCE)
    finally:
        os.close(ours)


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        (["tail", "-s", "0.2", "-F"], b"the second is longer"),
        (["tail", "-s", "0.2", "-f"], b"Stale file handle"),
        (["less", "+F"], b"read error"),
    ],
    ids=["tail -F", "tail -f", "less +F"],
)
def test_a_longer_version(sandbox: Sandbox, tmp_path: Path, command: Sequence[str], sign: bytes) -> None:
    """Who follows the name shows it, who follows the open file says that it is over."""
    sandbox.put("a", FIRST, OLD_TIME)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2") as mount,
        following(*command, mount / "a") as screen,
    ):
        wait_until(lambda: screen.shows(b"first"), "the first version")
        sandbox.put("a", SECOND, OLD_TIME + 1)
        wait_until(lambda: screen.shows(sign), "the change")


def test_a_log_that_grows_under_its_follower(sandbox: Sandbox, tmp_path: Path) -> None:
    """`tail -F` opens a version, and reads it when the store has the next one already; yet it goes on."""
    log = FIRST
    sandbox.put("a", log, OLD_TIME)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2") as mount,
        following("tail", "-s", "0.5", "-F", mount / "a") as screen,
    ):
        wait_until(lambda: screen.shows(b"first"), "the first version")
        for number in range(1, 4):
            log += b"line %d\n" % number
            sandbox.forget_requests()
            sandbox.put("a", log, OLD_TIME + number)
            whole = f"bytes=0-{len(log) - 1}"
            wait_until(lambda whole=whole: whole in ranges(sandbox), "the request for it")  # type: ignore[misc]
            wait_until(lambda number=number: screen.shows(b"become accessible", number), "the open")  # type: ignore[misc]
        wait_until(lambda: screen.shows(b"line 3"), "the last line")
        assert not screen.shows(b"error reading")


def ranges(sandbox: Sandbox) -> list[str]:
    """What the store was asked for lately."""
    return [each["range"] for each in sandbox.requests()["log"] if each["kind"] == "object"]


def test_what_an_open_file_tells(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """Another date of the same content is told, and a deletion is not."""
    put(sandbox, "a", 0)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=library) as mount,
        opened(mount / "a") as descriptor,
    ):
        assert os.read(descriptor, 10) == b"A" * 10
        redate(sandbox, 21)
        wait_until(lambda: shows(mount / "a", 21), "the new date")
        assert os.fstat(descriptor).st_mtime == OLD_TIME + 21
        with opened(mount / "a") as other:
            assert os.read(other, 10) == b"A" * 10
            (sandbox.folder / "a").unlink()
            wait_until(lambda: not mount.names(), "the end of the file")
            assert os.fstat(descriptor).st_mtime == os.fstat(other).st_mtime == OLD_TIME + 21
            (sandbox.folder / ".sandbox.json").unlink()


def test_an_open_file_of_another_content(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """It says so when it is looked at, or read at its end."""
    put(sandbox, "a", 0)
    with (
        mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=library) as mount,
        opened(mount / "a") as descriptor,
    ):
        size = len(os.pread(descriptor, 2**20, 0))
        for number in (1, 2):
            put(sandbox, "a", number, size * number)
            wait_until(lambda number=number: shows(mount / "a", number), "the new version")  # type: ignore[misc]
            with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                os.fstat(descriptor)
            with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
                os.pread(descriptor, 10, size)


def test_what_has_not_changed(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> None:
    """It has the same number and times in every mount, though others change: rsync copies nothing."""
    put(sandbox, "a", 0)
    put(sandbox, "b", 0)
    copy, told = tmp_path / "copy", []
    for number in (1, 2):
        with mounted(tmp_path / "mnt", sandbox.url, variables=library) as mount:
            about = (mount / "a").stat()
            told.append((about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
            done = run("rsync", "-rt", "--itemize-changes", f"{mount.path}/", copy)
            put(sandbox, "b", number)
        assert ("f+++++++++ a" in done.stdout) is (number == 1)
        assert ("b" in done.stdout.split()) is True
    assert told[0] == told[1]
