"""Where the log goes: a file for us alone that is kept small, the journal or stderr."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from empirical_fs.cli import logs
from empirical_fs.errors import SetupError
from tests.support.harness import PATIENCE, run

LOGGER = logging.getLogger("empirical_fs")
LINE = "x" * 100_000


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The package's logger as it was, and nothing of ours left open."""
    before = (LOGGER.handlers[:], LOGGER.level, LOGGER.propagate, logging.raiseExceptions)
    yield
    for handler in set(LOGGER.handlers) - set(before[0]):
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.level, LOGGER.propagate, logging.raiseExceptions = before[1:]


def test_a_file_is_kept_small(tmp_path: Path) -> None:
    """It is begun anew at 10 MB, and two older ones are kept."""
    logs.configure(0, tmp_path / "log", daemon=True)
    for number in range(330):
        LOGGER.warning("%d %s", number, LINE)
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1", "log.2"}
    assert all(path.stat().st_size <= 10_000_000 for path in tmp_path.iterdir())
    assert "329 xxx" in (tmp_path / "log").read_text()[-200_000:]


def test_a_file_where_no_other_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that is not ours, the file grows, and no line is lost."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    logs.configure(0, tmp_path / "log", daemon=True)
    for _ in range(110):
        LOGGER.warning(LINE)
    assert len((tmp_path / "log").read_text().splitlines()) == 110


def test_a_file_that_cannot_be(tmp_path: Path) -> None:
    """One line says so."""
    with pytest.raises(SetupError, match="cannot write the log file"):
        logs.configure(0, tmp_path / "missing" / "log", daemon=True)


@pytest.mark.parametrize("is_journal", [True, False])
def test_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_journal: bool) -> None:  # noqa: FBT001
    """Where stderr is systemd's journal, each line says how important it is; else, whose it is."""
    with (tmp_path / "stderr").open("w+") as stderr:
        about = os.fstat(stderr.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino + (not is_journal)}")
        monkeypatch.setattr(sys, "stderr", stderr)
        logs.configure(1, None, daemon=False)
        LOGGER.error("a\nb")
        LOGGER.warning("c")
        LOGGER.info("d")
        stderr.seek(0)
        said = stderr.read().splitlines()
    expected = ["<3>a", "<3>b", "<4>c", "<6>d"] if is_journal else None
    assert said == (expected or ["empirical-mount: a", "b", "empirical-mount: c", "empirical-mount: d"])


def test_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stderr that is no file is no journal either."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    logs.configure(0, None, daemon=False)
    LOGGER.warning("a")
    assert said.getvalue() == "empirical-mount: a\n"


@pytest.mark.parametrize(
    ("verbosity", "levels"), [(-1, "E"), (0, "WE"), (1, "IWE"), (2, "DIWE"), (3, "DIWE")]
)
def test_levels(tmp_path: Path, verbosity: int, levels: str) -> None:
    """Errors alone, warnings too, what happens, everything."""
    logs.configure(verbosity, tmp_path / "log", daemon=False)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOGGER.log(level, "a")
    assert [line.split()[2][0] for line in (tmp_path / "log").read_text().splitlines()] == list(levels)


def test_a_file_for_us_alone(tmp_path: Path) -> None:
    """Whatever the umask, also when it is begun anew, and if everybody could read the one that was there."""
    (tmp_path / "log").touch()
    (tmp_path / "log").chmod(0o644)
    before = os.umask(0)
    try:
        logs.configure(0, tmp_path / "log", daemon=True)
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
        for _ in range(100):
            LOGGER.warning(LINE)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_was_moved(tmp_path: Path) -> None:
    """As logrotate moves it, and may make another: each line goes to the file that has the name."""
    path = tmp_path / "log"
    logs.configure(0, path, daemon=True)
    LOGGER.warning("first")
    path.rename(tmp_path / "log-2026")
    LOGGER.warning("second")
    assert "second" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.touch()
    path.chmod(0o640)
    LOGGER.warning("third")
    assert path.stat().st_mode & 0o777 == 0o640
    assert ("third" in path.read_text(), "second" in path.read_text()) == (True, False)
    assert "second" not in (tmp_path / "log-2026").read_text()


def test_a_file_that_was_moved_for_good(tmp_path: Path) -> None:
    """Where no other can be made, the one that was moved gets the lines."""
    folder = tmp_path / "logs"
    folder.mkdir()
    logs.configure(0, folder / "log", daemon=True)
    LOGGER.warning("first")
    folder.rename(tmp_path / "moved")
    LOGGER.warning("second")
    assert "second" in (tmp_path / "moved" / "log").read_text()


@pytest.mark.parametrize("what", ["file", "folder", "chain", "missing"])
def test_links(tmp_path: Path, what: str) -> None:
    """A symbolic link of ours is followed; one of another user is not, wherever on the way it is."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    if what != "missing":
        (target / "log").touch()
    link.symlink_to(target if what == "folder" else target / "log")
    path = link / "log" if what == "folder" else link
    if what == "chain":
        path = tmp_path / "first"
        path.symlink_to("link")
    logs.configure(0, path, daemon=True)
    LOGGER.warning("a")
    assert "a" in (target / "log").read_text()
    if os.getuid() == 0:
        os.lchown(link, 65534, 65534)
        with pytest.raises(SetupError, match=r"cannot write the log file .* link of another user"):
            logs.configure(0, path, daemon=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user(tmp_path: Path) -> None:
    """What is logged is not for whoever has made the file."""
    path = tmp_path / "log"
    path.touch(0o666)
    os.chown(path, 65534, 65534)
    with pytest.raises(SetupError, match=r"cannot write the log file .* belongs to another user"):
        logs.configure(0, path, daemon=True)


def test_links_without_an_end(tmp_path: Path) -> None:
    """A circle of them is said to be one."""
    (tmp_path / "log").symlink_to("log")
    with pytest.raises(SetupError, match="cannot write the log file"):
        logs.configure(0, tmp_path / "log", daemon=True)


def test_a_descriptor() -> None:
    """/dev/stderr and such are links to links to a descriptor, which need not be a file."""
    reading, writing = os.pipe()
    try:
        logs.configure(0, Path(f"/dev/fd/{writing}"), daemon=True)
        LOGGER.warning("a")
        assert os.read(reading, 1000).endswith(b" a\n")
    finally:
        os.close(reading)
        os.close(writing)


def test_nothing_speaks_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have named is written with escapes."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    logs.configure(0, None, daemon=False)
    LOGGER.warning("%s\nnext", "\x1b[2J \udcff")
    assert said.getvalue() == "empirical-mount: \\x1b[2J \\xff\nnext\n"


def test_a_pipe_in_place_of_a_moved_file(tmp_path: Path) -> None:
    """Whoever logs does not wait for somebody to read it."""
    path = tmp_path / "log"
    command = [sys.executable, "-c", LOGS_ON, str(path)]
    done = run(*command, timeout=PATIENCE)
    assert done.stdout == "two lines were logged\n"


LOGS_ON = """
import logging, os, sys
from pathlib import Path
from empirical_fs.cli import logs
path = Path(sys.argv[1])
logs.configure(0, path, daemon=False)
log = logging.getLogger("empirical_fs.here")
log.warning("one")
path.rename(path.with_name("moved"))
os.mkfifo(path)
log.warning("two")
log.warning("three")
print("two lines were logged")
"""
