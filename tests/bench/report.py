"""The result: medians against goals, as a table for people and as JSON for programs."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.bench import Row
from tests.bench.figures import Failure, Goal, Sample, Who

_HEADINGS = ("row", "what", *Who, "ratio", "wanted", "reached")
_TEXTS = (0, 1, len(_HEADINGS) - 2, len(_HEADINGS) - 1)
"""Columns that read from the left; numbers line up on the right."""


@dataclass
class Results:
    """What was measured so far."""

    samples: list[Sample] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def medians(self, row: str, what: str) -> dict[Who, float]:
        """The median over the rounds of each who has the figure."""
        values = defaultdict(list)
        for sample in self.samples:
            if (sample.row, sample.what) == (row, what):
                values[sample.who].append(sample.value)
        return {who: median(each) for who, each in values.items()}


def table(rows: Sequence[Row], results: Results) -> str:
    """The medians, aligned, a line for each figure and goal."""
    cells = [list(_HEADINGS), *_cells(rows, results)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            text.ljust(width) if index in _TEXTS else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def write_json(path: Path, rows: Sequence[Row], results: Results, facts: Mapping[str, Any]) -> None:
    """Everything: the facts, each figure of each round, and the summary of the table."""
    answer = {
        "facts": facts,
        "summary": list(_summary(rows, results)),
        "samples": [asdict(sample) for sample in results.samples],
        "failures": [asdict(failure) for failure in results.failures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(answer, indent=1) + "\n")


def shown(value: float) -> str:
    """A figure to about three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def _cells(rows: Sequence[Row], results: Results) -> Iterator[list[str]]:
    for row in rows:
        failed = {failure.who for failure in results.failures if failure.row == row.name}
        for line in row.lines:
            medians = results.medians(row.name, line.what)
            head = [row.name, line.what, *(_figure(who, medians, failed) for who in Who)]
            for goal in line.goals or (None,):
                yield [*head, *_judged(goal, medians)]
                # A further goal is about the same figures.
                head = [""] * len(head)


def _figure(who: Who, medians: Mapping[Who, float], failed: set[Who]) -> str:
    if who in medians:
        return shown(medians[who])
    return "failed" if who in failed else ""


def _judged(goal: Goal | None, medians: Mapping[Who, float]) -> tuple[str, str, str]:
    if goal is None:
        return "", "", ""
    ratio = goal.ratio(medians)
    if ratio is None:
        return "", goal.wanted, "-"
    return f"{ratio:.2f}", goal.wanted, "yes" if goal.is_reached(ratio) else "below"


def _summary(rows: Sequence[Row], results: Results) -> Iterator[dict[str, Any]]:
    for row in rows:
        for line in row.lines:
            medians = results.medians(row.name, line.what)
            goals = [
                {
                    "wanted": goal.wanted,
                    "ratio": (ratio := goal.ratio(medians)),
                    "reached": ratio is not None and goal.is_reached(ratio),
                }
                for goal in line.goals
            ]
            yield {
                "row": row.name,
                "what": line.what,
                "medians": medians,
                "goals": goals,
                "caption": line.caption and asdict(line.caption),
                "store": row.project.location.described,
            }
