"""A pytest plugin: a log line of level WARNING or higher fails its test, unless a marker announces the line.

It checks what the process of the test has logged, the log files below `tmp_path`, and what programs wrote to
a stderr that the test did not capture: lines of a mount in the foreground, of libfuse, and tracebacks.
"""

import logging
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from empirical_fs.printing import printable
from tests.support.harness import mounts

_MARKERS = (
    "warns(*patterns): lines of the log that are warnings or worse and must come, one for each pattern",
    "may_warn(*patterns): the same of lines that come or not, as time, the kernel or a parameter has it",
)
_LOG_FILE = re.compile(r"(?:.*\.)?log(?:\.\d+)?")
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?=[A-Z]+ empirical_fs\.)", re.M)
_WORTHY = re.compile(r"(?:WARNING|ERROR|CRITICAL) |(?s:.*)^Traceback ", re.M)
_ON_STDERR = re.compile(
    r"(?:<\d>|empirical-mount: |fuse: |Traceback |Fatal Python error|Exception (?!in ASGI)).*", re.M
)


class _Logged(logging.Handler):
    """Collects the warnings and errors logged in this process, in the format of the log file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "empirical_fs":  # tests of the log itself write to this one
            self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


_LOGGED = pytest.StashKey[_Logged]()
_PASSED = pytest.StashKey[bool]()


def worthy_records(log: str) -> list[str]:
    """The records in the text of a log file that are warnings or worse or have a traceback, without times."""
    return [each.rstrip("\n") for each in _RECORD.split(log) if _WORTHY.match(each)]


def complaints(lines: list[str], must: list[str], may: list[str]) -> list[str]:
    """What is wrong with `lines`: each must match a pattern, and each pattern in `must` must match one."""
    unexpected = [each for each in lines if not any(re.search(pattern, each) for pattern in must + may)]
    missing = [pattern for pattern in must if not any(re.search(pattern, each) for each in lines)]
    return [
        *(f"no marker announces this line of the log: {each}" for each in unexpected),
        *(f"this line of the log did not come: {pattern}" for pattern in missing),
    ]


def _log_files(folder: Path) -> Iterator[Path]:
    """The log files below `folder`, except those in mounts."""
    mounted = set(mounts())
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if str(Path(place) / each) not in mounted]
        yield from (Path(place) / each for each in names if _LOG_FILE.fullmatch(each))


def _lines(item: pytest.Function, stderr: str) -> list[str]:
    """The warnings and worse that were logged since the test began."""
    lines = [*item.stash[_LOGGED].lines, *_ON_STDERR.findall(stderr)]
    folder = item.funcargs.get("tmp_path")
    if isinstance(folder, Path):
        for each in _log_files(folder):
            lines += worthy_records(each.read_text(errors="replace") if each.is_file() else "")
    return lines


def _patterns(item: pytest.Item, name: str) -> list[str]:
    return [pattern for marker in item.iter_markers(name) for pattern in marker.args]


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for each in _MARKERS:
        config.addinivalue_line("markers", each)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Collect what this process logs while a test and its fixtures run."""
    item.stash[_LOGGED] = logged = _Logged()
    logger = logging.getLogger("empirical_fs")
    logger.addHandler(logged)
    try:
        return (yield)
    finally:
        logger.removeHandler(logged)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the teardown of a test that has passed into an error, if something is wrong with its log."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    elif report.when == "teardown" and report.passed and item.stash.get(_PASSED, default=False):
        assert isinstance(item, pytest.Function)
        lines = _lines(item, report.capstderr)
        if found := complaints(lines, _patterns(item, "warns"), _patterns(item, "may_warn")):
            report.outcome, report.longrepr = (
                "failed",
                "\n".join(map(printable, "\n".join(found).split("\n"))),
            )
    return report
