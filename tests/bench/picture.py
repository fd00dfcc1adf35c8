"""A picture of the figures that have a caption, ours beside rclone's: from a result to SVG, without I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from xml.etree import ElementTree as ET

import msgspec

from tests.bench.figures import MOUNTS, RCLONES, STREAMS, Better, Caption, Failure, Who
from tests.bench.report import shown

_NAMES = {Who.OURS: "empirical-fs", Who.RCLONE: "rclone", Who.STREAMS: "rclone, 8 streams"}
_CLASSES = {Who.OURS: "ours", Who.RCLONE: "rclone", Who.STREAMS: "streams"}
_FAILED = "failed"
_NOTES = (
    "All read the same files of one nginx; rclone by its http backend, which asks about each file of a list.",
    f"8 streams: {' '.join(STREAMS)}. Drawn by scripts/bench.",
)

_WIDTH, _MARGIN, _GAP = 860, 24, 36
_COLUMN = (_WIDTH - 2 * _MARGIN - _GAP) // 2
_HEADER, _FOOTER, _LEADING = 92, 44, 16
_CAPTION, _PITCH, _BAR, _SPACE = 40, 18, 12, 20
"""The heights of a caption, from bar to bar, of a bar, and between two charts."""
_NAMES_WIDTH, _BARS_WIDTH = 116, 190
_THINNEST = 1.5

# Whoever sees it in another scheme than the page's sees a card, and can read it all the same.
_STYLE = """
text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 12px; }
.card { fill: #ffffff; stroke: #d0d7de; }
text { fill: #1f2328; }
.head { font-size: 18px; font-weight: 600; }
.title { font-size: 13px; font-weight: 600; }
.muted { fill: #59636e; }
.value.ours { font-weight: 600; }
rect.ours { fill: #0969da; }
rect.rclone { fill: #818b98; }
rect.streams { fill: #b1bac4; }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; stroke: #3d444d; }
  text { fill: #f0f6fc; }
  .muted { fill: #9198a1; }
  rect.ours { fill: #4493f8; }
  rect.rclone { fill: #8b949e; }
  rect.streams { fill: #565e68; }
}
"""


class Facts(msgspec.Struct, rename={"version": "empirical-fs"}):
    """What was measured, and on what (machine.py)."""

    date: datetime
    version: str
    commit: str
    cpu: str
    cpus: int
    kernel: str
    python: str
    rclone: str
    nginx: str
    rounds: int
    quick: bool


class Figure(msgspec.Struct):
    """The medians of one figure."""

    row: str
    medians: dict[Who, float]
    caption: Caption | None
    store: str


class Result(msgspec.Struct):
    """What is needed here of the JSON that report.py writes."""

    facts: Facts
    summary: list[Figure]
    failures: list[Failure]


class Chart(msgspec.Struct):
    """A figure that the picture shows."""

    caption: Caption
    store: str
    values: dict[Who, float | None]
    """Of those who were measured, in the order of the bars; None for who failed in every round."""

    def text(self, who: Who) -> str:
        """The value and its unit."""
        value = self.values[who]
        return _FAILED if value is None else f"{shown(value)} {self.caption.unit}"

    @property
    def words(self) -> str:
        """Ours, and rclone's best in brackets."""
        ours = self.values.get(Who.OURS)
        theirs = [value for who in RCLONES if (value := self.values.get(who)) is not None]
        best = max if self.caption.better is Better.MORE else min
        values = (_FAILED if ours is None else shown(ours), f"({shown(best(theirs)) if theirs else '-'})")
        return f"{self.caption.title}: {' '.join(values)} {self.caption.unit}"

    @property
    def height(self) -> int:
        """In the picture, with the space below it."""
        return _CAPTION + _PITCH * len(self.values) + _SPACE


class NothingToDrawError(Exception):
    """The result has no figure with a caption."""


def read(text: bytes) -> Result:
    """The result in a JSON file of an earlier run.

    Raises:
        msgspec.DecodeError: it is none, or one of another version of the benchmark.
    """
    return msgspec.json.decode(text, type=Result)


def drawn(result: Result) -> str:
    """The picture as SVG.

    Raises:
        NothingToDrawError: there is nothing to show.
    """
    charts = _charts(result)
    columns = [[each for each in charts if each.caption.better is better] for better in Better]
    height = _HEADER + max(sum(each.height for each in column) for column in columns) + _FOOTER
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": f"{_WIDTH}",
            "height": f"{height}",
            "role": "img",
            "aria-labelledby": "title desc",
        },
    )
    ET.SubElement(svg, "title", id="title").text = "empirical-fs beside rclone mount"
    ET.SubElement(svg, "desc", id="desc").text = described(result)
    ET.SubElement(svg, "style").text = _STYLE
    _rect(svg, "card", x=0.5, y=0.5, width=_WIDTH - 1, height=height - 1, rx=6)
    _text(svg, "head", _MARGIN, 36, f"empirical-fs beside rclone mount, {_day(result.facts.date)}")
    for index, line in enumerate(_facts(result.facts)):
        _text(svg, "muted", _MARGIN, 56 + _LEADING * index, line)
    for x, column in zip((_MARGIN, _MARGIN + _COLUMN + _GAP), columns, strict=True):
        tops = accumulate((each.height for each in column), initial=_HEADER)
        for top, chart in zip(tops, column, strict=False):
            _draw(svg, chart, x, top)
    for index, line in enumerate(reversed(_NOTES)):
        _text(svg, "muted", _MARGIN, height - 20 - _LEADING * index, line)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def described(result: Result) -> str:
    """The main figures in words, for who does not see the picture.

    Raises:
        NothingToDrawError: there is nothing to show.
    """
    words = "; ".join(each.words for each in _charts(result))
    return f"empirical-fs, and rclone at its best in brackets. {words}."


def _charts(result: Result) -> Sequence[Chart]:
    charts = []
    for figure in result.summary:
        failed = {each.who for each in result.failures if each.row == figure.row}
        values = {who: figure.medians.get(who) for who in MOUNTS if who in figure.medians or who in failed}
        if figure.caption is not None and values:
            charts.append(Chart(figure.caption, figure.store, values))
    if not charts:
        raise NothingToDrawError("none of the figures is one that the picture shows")
    return charts


def _facts(facts: Facts) -> Iterator[str]:
    rounds = f"Medians of {facts.rounds} rounds" if facts.rounds > 1 else "One round"
    less = " of a quick run" if facts.quick else ""
    kernel = facts.kernel.partition("-")[0]
    cpu = facts.cpu.replace("(R)", "").replace("(TM)", "")
    yield f"{rounds}{less}, on {facts.cpus} cores ({cpu}), Linux {kernel}"
    yield (
        f"empirical-fs {facts.version} ({facts.commit}) on Python {facts.python}, "
        f"{facts.rclone.replace(' v', ' ')}, {facts.nginx.rpartition(': ')[2].replace('/', ' ')}"
    )


def _day(date: datetime) -> str:
    return f"{date.day} {date:%B %Y}"


def _draw(svg: ET.Element, chart: Chart, x: float, top: float) -> None:
    group = ET.SubElement(svg, "g")
    _text(group, "title", x, top + 12, chart.caption.title)
    _text(group, "muted", x, top + 28, f"{chart.caption.unit}, {chart.caption.better}; {chart.store}")
    longest = max(filter(None, chart.values.values()), default=1)
    for index, (who, value) in enumerate(chart.values.items()):
        y = top + _CAPTION + index * _PITCH
        _text(group, "name", x, y + 10, _NAMES[who])
        width = max(_BARS_WIDTH * value / longest, _THINNEST) if value is not None else 0
        _rect(group, _CLASSES[who], x=x + _NAMES_WIDTH, y=y, width=width, height=_BAR, rx=1.5)
        _text(group, f"value {_CLASSES[who]}", x + _NAMES_WIDTH + width + 6, y + 10, chart.text(who))


def _rect(parent: ET.Element, style: str, **places: float) -> None:
    _place(ET.SubElement(parent, "rect", {"class": style}), places)


def _text(parent: ET.Element, style: str, x: float, y: float, text: str) -> None:
    element = ET.SubElement(parent, "text", {"class": style})
    element.text = text
    _place(element, {"x": x, "y": y})


def _place(element: ET.Element, places: Mapping[str, float]) -> None:
    for name, place in places.items():
        element.set(name, f"{place:.5g}")
