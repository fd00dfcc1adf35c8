"""That the suite fails on what should not be in a log: tests that do so, run by pytest with the plugin."""

import re
import sys
from pathlib import Path

import pytest

from tests.support.harness import run

TESTS = """
import logging, os, sys
import pytest

LINE = "2026-11-28 14:59:59,829 {} empirical_fs.fuse.answering: {}\\n"

def logged(tmp_path, level="WARNING", text="read /a: lost", name="mnt.log"):
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / name).write_text(LINE.format("INFO", "b") + LINE.format(level, text))

def test_info_passes(tmp_path): logged(tmp_path, "INFO")
def test_warning_fails(tmp_path): logged(tmp_path)
def test_error_fails(tmp_path): logged(tmp_path, "ERROR")
def test_an_older_file_fails(tmp_path): logged(tmp_path, name="mnt.log.1")
def test_traceback_fails(tmp_path): logged(tmp_path, "INFO", "c\\nTraceback (most recent call last):\\n  d")
def test_other_files_pass(tmp_path): logged(tmp_path, name="readme")

@pytest.mark.warns("/a: lost")
def test_announced_passes(tmp_path): logged(tmp_path)

@pytest.mark.warns("/b: lost")
def test_another_announced_fails(tmp_path): logged(tmp_path)

@pytest.mark.warns("/a: lost", "/b: lost")
def test_missing_fails(tmp_path): logged(tmp_path)

@pytest.mark.may_warn("/a: lost", "/b: lost")
def test_either_passes(tmp_path): logged(tmp_path)

def test_in_this_process_fails(): logging.getLogger("empirical_fs.net").warning("lost")
def test_info_in_this_process_passes(): logging.getLogger("empirical_fs.net").info("found")
def test_of_others_passes(): logging.getLogger("httpx").warning("lost")

@pytest.mark.warns("WARNING empirical_fs.net: lost")
def test_announced_in_this_process_passes(): logging.getLogger("empirical_fs.net").warning("lost")

def test_foreground_fails(): os.write(2, b"empirical-mount: read /a: lost\\n")
def test_libfuse_fails(): os.write(2, b"fuse: bad mount point\\n")
def test_other_programs_pass(): os.write(2, b"cat: a: lost\\n")

@pytest.mark.warns("lost")
def test_nothing_is_said_of_what_is_skipped_passes(): pytest.skip()
"""


def test_what_fails(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each of these tests does as its name says."""
    file = tmp_path / "test_it.py"
    file.write_text(TESTS)
    options = [
        "-rE",
        "-p",
        "tests.support.log_check",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--strict-markers",
    ]
    # Their logs are no logs of this test.
    place = tmp_path_factory.mktemp("theirs")
    done = run(sys.executable, "-m", "pytest", *options, "--basetemp", place, file, check=False)
    failed = set(re.findall(r"^ERROR \S+::(\w+)", done.stdout, re.M))
    assert failed == {name for name in re.findall(r"def (test_\w+)", TESTS) if name.endswith("_fails")}, (
        done.stdout
    )
