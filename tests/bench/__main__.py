"""The command line of the benchmark."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from types import FrameType

import msgspec

from tests.bench import disk, doors, latency, machine, refreshing, starting, throughput, waste
from tests.bench.bench import QUICK, Bench, Row, Sizes
from tests.bench.figures import Failure, Sample, Who
from tests.bench.link import Link
from tests.bench.mounts import unmount_all
from tests.bench.picture import NothingToDrawError, described, drawn, read
from tests.bench.report import Results, shown, table, write_json
from tests.bench.store import MIB, Store
from tests.bench.work import WorkFailed

_TOP = Path(__file__).parents[2]
_RESULT = _TOP / ".bench" / "bench.json"
_GROUPS = (
    *("seq", "wan", "rand", "walk", "ls", "open", "warm", "many", "waste", "refresh", "start", "disk"),
    "prefetch",
)
_DOORS = ("cat_ranges", "get", "parquet")
_FAILURES = (AssertionError, OSError, subprocess.SubprocessError, HTTPException, WorkFailed)
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REASON_MAX = 200
_README_WIDTH = 120


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    if given.earlier is None:
        sys.exit(_run(given))
    if given.picture is None:
        parser.error("--from draws a picture: name its file with --picture FILE")
    _draw(given.earlier, given.picture)


def _run(given: argparse.Namespace) -> int:
    """Measure, and show it; the exit status."""
    sizes = QUICK if given.quick else Sizes()
    if given.parquet is not None:
        sizes = replace(sizes, parquet=given.parquet * MIB)
    kinds = (throughput, latency, waste, refreshing, starting, disk, doors)
    every = list(chain.from_iterable(kind.rows(sizes) for kind in kinds))
    rows = [row for group in given.rows for row in every if row.group == group]
    for number in _STOPPING:
        signal.signal(number, _stop)
    link = Link()
    facts = {**machine.facts(), "rounds": given.rounds, "quick": given.quick}
    _say("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    with _folder(given.work_dir) as folder, (store := Store(folder / "store")).serving():
        slow_rounds = 1 if given.quick else given.rounds
        results = _measure(rows, Bench(store, link, folder), given.rounds, slow_rounds)
    write_json(given.json, rows, results, facts)
    _say(f"\n{table(rows, results)}\n\nevery figure of every round: {given.json}")
    for failure in results.failures:
        _say(f"FAILED: {failure.row}, {failure.who}, round {failure.round}: {failure.reason}")
    if given.picture is not None:
        _draw(given.json, given.picture)
    return 1 if results.failures else 0


def _draw(result: Path, picture: Path) -> None:
    """The picture of what a run wrote to `result`."""
    try:
        figures = read(result.read_bytes())
        picture.write_text(drawn(figures))
    except OSError as error:
        sys.exit(f"scripts/bench: no picture of {result}: {error}")
    except (msgspec.DecodeError, NothingToDrawError) as error:
        sys.exit(f"scripts/bench: no picture of {result}: {error}; measure again")
    words = f"![{described(figures)}]({os.path.relpath(picture, _TOP)})"
    wrapped = textwrap.fill(words, _README_WIDTH, break_long_words=False, break_on_hyphens=False)
    _say(f"{picture} is drawn; README.md needs what it shows in words:\n\n{wrapped}")


def _measure(rows: Sequence[Row], bench: Bench, rounds: int, slow_rounds: int) -> Results:
    """Each row in turn; in each round everybody, so that what the machine does else meets all alike."""
    results = Results()
    for row in rows:
        bench.store.add(row.project)
        for number in range(1, rounds + 1):
            for who in row.who:
                if who not in row.slow or number <= slow_rounds:
                    bench.settle(row.project)
                    _measure_one(row, bench, who, number, results)
    return results


def _measure_one(row: Row, bench: Bench, who: Who, number: int, results: Results) -> None:
    progress = f"{row.name}, round {number}, {who}: "
    try:
        figures = row.measure(bench, who, number)
    except _FAILURES as error:
        reason = _reason(error)
        results.failures.append(Failure(row.name, who, number, reason))
        _say(f"{progress}FAILED: {reason}")
        return
    for line, value in figures.items():
        results.samples.append(Sample(row.name, line.what, who, number, value))
    _say(progress + "; ".join(f"{line.what} {shown(value)}" for line, value in figures.items()))


def _reason(error: Exception) -> str:
    """A line of what went wrong; what programs said is at its end."""
    line = " ".join(" ".join([str(error), *getattr(error, "__notes__", ())]).split())
    line = line if len(line) <= _REASON_MAX else f"...{line[-_REASON_MAX:]}"
    return f"{type(error).__name__}: {line}"


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    """A folder of our own that is gone in the end, and no mount left in it."""
    folder = Path(tempfile.mkdtemp(prefix="empirical-bench-", dir=parent)).resolve()
    try:
        yield folder
    finally:
        unmount_all(folder)
        shutil.rmtree(folder)


def _stop(number: int, _frame: FrameType | None) -> None:
    # Whoever presses Ctrl-C again must not stop the cleaning up.
    for each in _STOPPING:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a benchmark is run for


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures empirical-mount and rclone mount side by side on one store. The exit status "
        "tells whether everything worked; how fast it was stands in the table alone.",
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="how often; medians count (default: 3)")
    parser.add_argument(
        "--rows",
        type=_rows,
        default=_GROUPS,
        metavar="ROW,...",
        help=f"of {','.join((*_GROUPS, *_DOORS))} (default: all but the last {len(_DOORS)},"
        " which need the extra bench)",
    )
    parser.add_argument(
        "--parquet",
        type=_positive,
        metavar="MIB",
        help="the size of the table in the row parquet (default: 1024)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="less of everything, and where rclone is slow only once; the goals are meant for the full run",
    )
    parser.add_argument("--json", type=_output, default=_RESULT, metavar="FILE", help=f"default: {_RESULT}")
    parser.add_argument(
        "--picture",
        type=_output,
        metavar="FILE",
        help="draw what matters to users, ours beside rclone, as SVG",
    )
    parser.add_argument(
        "--from",
        dest="earlier",
        type=_output,
        metavar="FILE",
        help="measure nothing: draw the picture of the run that wrote this JSON",
    )
    parser.add_argument(
        "--work-dir",
        type=_directory,
        default=Path("/var/tmp"),
        metavar="DIR",
        help="where a temporary folder of some 3 GB is made (default: /var/tmp)",
    )
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _rows(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - {*_GROUPS, *_DOORS}:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(sorted(unknown))}")
    return tuple(group for group in (*_GROUPS, *_DOORS) if group in names)


def _output(text: str) -> Path:
    return Path(text).resolve()


def _directory(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir() or not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"not a directory to write to: {text}")
    return path


if __name__ == "__main__":
    main()
