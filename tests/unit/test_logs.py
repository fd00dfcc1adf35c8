import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from empirical_fs import logs
from empirical_fs.errors import SetupError

LOGGER = logging.getLogger("empirical_fs")
LINE = "x" * 1000


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
    for number in range(45_000):
        LOGGER.warning("%d %s", number, LINE)
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1", "log.2"}
    assert all(path.stat().st_size <= 10_000_000 for path in tmp_path.iterdir())
    assert "44999 xxx" in (tmp_path / "log").read_text()[-2000:]


def test_a_file_where_no_other_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that is not ours, the file grows, and no line is lost."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    logs.configure(0, tmp_path / "log", daemon=True)
    for _ in range(11_000):
        LOGGER.warning(LINE)
    assert len((tmp_path / "log").read_text().splitlines()) == 11_000


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
