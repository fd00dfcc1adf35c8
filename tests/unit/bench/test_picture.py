"""The picture of the benchmark: it shows the figures of a result, and README says the same in words."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tests.bench import latency, refreshing, starting, throughput, waste
from tests.bench.bench import QUICK, Row, Sizes
from tests.bench.figures import MOUNTS, Better, Caption, Line, Who
from tests.bench.picture import NothingToDrawError, described, drawn, read

_TOP = Path(__file__).parents[3]
_SVG = "{http://www.w3.org/2000/svg}"
_FACTS = {
    "date": "2031-02-03T04:05:06+00:00",
    "empirical-fs": "7.8.9",
    "commit": "abc1234",
    "cpu": "Some(R) <fast> CPU & more",
    "cpus": 12,
    "memory": "1 kB",
    "kernel": "9.10.11-distribution",
    "python": "3.99.1",
    "rclone": "rclone v4.5.6",
    "nginx": "nginx version: nginx/2.3.4",
    "rounds": 17,
    "quick": False,
}


def figure(title: str, medians: Mapping[str, float], better: Better = Better.MORE) -> dict[str, Any]:
    caption = {"title": title, "unit": "MB/s", "better": better}
    return {"row": title, "what": "", "medians": medians, "goals": [], "caption": caption, "store": "there"}


def result(*summary: dict[str, Any], failures: tuple[dict[str, Any], ...] = (), **facts: object) -> bytes:
    whole = {"facts": {**_FACTS, **facts}, "summary": summary, "samples": [], "failures": failures}
    return json.dumps(whole).encode()


def svg(text: bytes) -> ET.Element:
    return ET.fromstring(drawn(read(text)))


def texts(element: ET.Element, style: str = "") -> list[str]:
    return [each.text or "" for each in element.iter(f"{_SVG}text") if style in each.get("class", "").split()]


def widths(element: ET.Element) -> dict[str, float]:
    return {each.get("class", ""): float(each.get("width", "")) for each in element.iter(f"{_SVG}rect")}


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=_TOP, capture_output=True, text=True, check=False, timeout=60)


def captioned(sizes: Sizes) -> list[tuple[Row, Line, Caption]]:
    kinds = (throughput, latency, waste, refreshing, starting)
    rows = [row for kind in kinds for row in kind.rows(sizes)]
    return [(row, line, line.caption) for row in rows for line in row.lines if line.caption]


def test_each_bar_has_the_value_of_the_result_and_its_length() -> None:
    picture = svg(result(figure("Read", {"ours": 200.4, "rclone default": 50.06, "rclone 8 streams": 100})))
    assert texts(picture, "value") == ["200 MB/s", "50.1 MB/s", "100 MB/s"]
    bars = widths(picture)
    assert bars["rclone"] == pytest.approx(bars["ours"] * 50.06 / 200.4, rel=1e-3)
    assert bars["streams"] == pytest.approx(bars["ours"] * 100 / 200.4, rel=1e-3)


def test_each_chart_has_a_scale_of_its_own_and_says_what_is_better() -> None:
    text = result(figure("Speed", {"ours": 1000.0}), figure("Wait", {"ours": 0.001}, Better.LESS))
    picture = svg(text)
    lengths = [each.get("width") for each in picture.iter(f"{_SVG}rect") if each.get("class") == "ours"]
    assert len(lengths) == 2
    assert len(set(lengths)) == 1
    assert {"MB/s, more is better; there", "MB/s, less is better; there"} <= set(texts(picture, "muted"))


def test_the_heading_has_the_date_the_rounds_the_machine_and_the_versions() -> None:
    picture = svg(result(figure("Read", {"ours": 1})))
    assert texts(picture, "head") == ["empirical-fs beside rclone mount, 3 February 2031"]
    assert texts(picture, "muted")[:2] == [
        "Medians of 17 rounds, on 12 cores (Some <fast> CPU & more), Linux 9.10.11",
        "empirical-fs 7.8.9 (abc1234) on Python 3.99.1, rclone 4.5.6, nginx 2.3.4",
    ]


def test_a_quick_run_says_that_it_was_one() -> None:
    picture = svg(result(figure("Read", {"ours": 1}), quick=True, rounds=1))
    assert texts(picture, "muted")[0].startswith("One round of a quick run, ")


def test_no_bar_can_be_too_short_to_be_seen() -> None:
    bars = widths(svg(result(figure("Sent", {"ours": 0, "rclone default": 10**9}))))
    assert 1 <= bars["ours"] < bars["rclone"]


def test_who_failed_is_shown_as_failed_and_who_was_not_measured_not_at_all() -> None:
    failure = {"row": "Read", "who": "rclone default", "round": 1, "reason": "it broke"}
    text = result(figure("Read", {"ours": 3}), failures=(failure,))
    assert texts(svg(text), "value") == ["3.00 MB/s", "failed"]
    assert "Read: 3.00 (-) MB/s" in described(read(text))


@pytest.mark.parametrize(("better", "best"), [(Better.MORE, "90.0"), (Better.LESS, "80.0")])
def test_the_words_compare_ours_with_the_best_of_rclone(better: Better, best: str) -> None:
    medians = {"ours": 70, "rclone default": 80, "rclone 8 streams": 90, "bare": 1}
    text = result(figure("Read", medians, better))
    wanted = f"empirical-fs, and rclone at its best in brackets. Read: 70.0 ({best}) MB/s."
    assert described(read(text)) == wanted
    assert svg(text).findtext(f"{_SVG}desc") == wanted


def test_what_has_no_caption_is_left_out() -> None:
    other = {**figure("Secret", {"ours": 1}), "caption": None}
    assert "Secret" not in drawn(read(result(other, figure("Read", {"ours": 1}))))


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(NothingToDrawError):
        drawn(read(result()))


@pytest.mark.parametrize("text", [b"", b"[]", b'{"facts": {}}', result({"row": "of an older version"})])
def test_what_is_no_result_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read(text)


@pytest.mark.parametrize("sizes", [Sizes(), QUICK])
def test_the_rows_that_are_shown_fit_the_picture_and_are_beside_rclone(sizes: Sizes) -> None:
    shown = captioned(sizes)
    assert 6 <= len(shown) <= 10
    assert len({caption.title for _, _, caption in shown}) == len(shown)
    for row, line, caption in shown:
        assert len(caption.title) <= 50
        assert caption.unit in line.what
        assert {Who.OURS, Who.RCLONE} <= set(row.who) & set(MOUNTS)


def test_the_picture_of_an_earlier_run_is_drawn_without_measuring(tmp_path: Path) -> None:
    earlier, picture = tmp_path / "bench.json", tmp_path / "figures.svg"
    earlier.write_bytes(result(figure("Read", {"ours": 12.3})))
    done = bench("--from", earlier, "--picture", picture)
    assert (done.returncode, done.stderr) == (0, "")
    assert texts(ET.parse(picture).getroot(), "value") == ["12.3 MB/s"]
    assert "![empirical-fs, and rclone at its best in brackets. Read: 12.3 (-) MB/s.](" in " ".join(
        done.stdout.split()
    )


def test_no_picture_is_drawn_of_what_is_no_result(tmp_path: Path) -> None:
    earlier, picture = tmp_path / "bench.json", tmp_path / "figures.svg"
    earlier.write_text("{}")
    done = bench("--from", earlier, "--picture", picture)
    assert done.returncode == 1
    assert done.stderr.startswith(f"scripts/bench: no picture of {earlier}: ")
    assert not picture.exists()


def test_readme_says_what_its_picture_shows() -> None:
    alt = re.search(r"!\[([^]]*)\]\(\.github/pictures/figures\.svg\)", (_TOP / "README.md").read_text())
    assert alt
    shown = ET.parse(_TOP / ".github" / "pictures" / "figures.svg").findtext(f"{_SVG}desc") or ""
    assert alt[1].split() == shown.split()
