"""What the README prints for pandas, Polars, pyarrow, DuckDB, Zarr and others works as printed.

The tests import these packages themselves: otherwise each process that collects tests would import them all.
"""

import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.support.harness import Sandbox, noise

README = Path(__file__).parents[2] / "README.md"
REPORT = noise(3000)
CITIES, AMOUNTS = ["Oslo", "Rome", "Oslo"] * 1000, list(range(3000))
OSLO = sum(each for each in AMOUNTS if each % 3 != 1)
TOTAL = sum(AMOUNTS)

Told = Mapping[str, Any]
"""The variables that a program leaves."""


def programs() -> list[str]:
    """The Python programs of the section."""
    section = README.read_text().partition("\n## From Python, without a mount\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.S)


def grid() -> bytes:
    """A Zarr array in a zip file."""
    zarr = pytest.importorskip("zarr")
    chunks: dict[str, Any] = {}
    array = zarr.create_array(zarr.storage.MemoryStore(chunks), shape=(20, 20), chunks=(5, 5), dtype="i4")
    array[:] = 7
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, buffer in chunks.items():
            archive.writestr(name, buffer.to_bytes())
    return file.getvalue()


def parquet(columns: Mapping[str, list[Any]]) -> bytes:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=500, compression="none", use_dictionary=False)
    return file.getvalue()


@pytest.fixture(scope="module")
def project(shared: Sandbox, variables: pytest.MonkeyPatch) -> Sandbox:
    table: dict[str, list[Any]] = {"city": CITIES, "amount": AMOUNTS}
    rows = "".join(f"{city},{amount}\n" for city, amount in zip(CITIES, AMOUNTS, strict=True))
    shared.put("report.pdf", REPORT)
    shared.put("sales.csv", f"city,amount\n{rows}".encode())
    shared.put("sales-2025.parquet", parquet(table))
    shared.put("sales-2026.parquet", parquet(table))
    shared.put("grid.zarr.zip", grid())
    variables.setenv("EMPIRICAL_API_URL", shared.url)
    return shared


def is_first_right(told: Told) -> bool:
    is_copied = Path("copies/sales.csv").read_text().splitlines()[-1] == "Oslo,2999"
    return is_copied and (told["names"], told["head"], told["first"]) == (
        ["sales.csv"],
        REPORT[:1024],
        "city,amount\n",
    )


def is_pyarrow_right(told: Told) -> bool:
    sums = sum(told["oslo"]["amount"].to_pylist()), told["total"].item(), told["one"]["amount"].sum()
    return sums == (2 * OSLO, 2 * TOTAL, TOTAL)


CHECKS: list[Callable[[Told], bool]] = [
    is_first_right,
    lambda told: (told["sales"].amount.sum(), told["amounts"].amount.sum()) == (TOTAL, TOTAL),
    is_pyarrow_right,
    lambda told: dict(told["rows"]) == {"Oslo": 2 * OSLO, "Rome": 2 * (TOTAL - OSLO)},
    lambda told: bool(told["corner"].tolist() == [[7, 7], [7, 7]]),
    lambda told: (told["size"], told["content"], told["names"]) == (3000, REPORT, ["sales.csv"]),
    lambda told: (
        told["heads"] == [b"PAR1"] * 2 and fsspec.filesystem("memory").cat("copy.csv")[:5] == b"city,"
    ),
]


@pytest.mark.timeout(300)
def test_the_examples_of_the_readme(
    project: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del project
    monkeypatch.chdir(tmp_path)
    for number, (program, is_right) in enumerate(zip(programs(), CHECKS, strict=True), 1):
        told: dict[str, Any] = {}
        exec(compile(program, f"program {number} of README.md", "exec"), told)
        assert is_right(told), program


def test_pyarrow_lists_finds_and_reads_files(project: Sandbox) -> None:
    columns = {
        f"c{number}": [noise(100, 500 * number + row).hex() for row in range(500)] for number in range(5)
    }
    wide = parquet(columns)
    project.put("wide.parquet", wide)
    one = fsspec.filesystem("empirical", refresh=0)
    project.forget_requests()
    table = pytest.importorskip("pyarrow.parquet").read_table("wide.parquet", filesystem=one, columns=["c1"])
    assert table["c1"].to_pylist() == columns["c1"]
    assert int(project.requests()["object_bytes"]) < len(wide) / 2

    arrow = pytest.importorskip("pyarrow.fs")
    fs = arrow.PyFileSystem(arrow.FSSpecHandler(one))
    found = {info.path: info.size for info in fs.get_file_info(arrow.FileSelector("", recursive=True))}
    assert found["report.pdf"] == len(REPORT)
    missing, there = fs.get_file_info(["none", "report.pdf"])
    assert missing.type == arrow.FileType.NotFound
    assert there.is_file
    with fs.open_input_file("report.pdf") as file:
        assert file.read_at(10, 100) == REPORT[100:110]
    with pytest.raises(OSError, match="Read-only"):
        fs.delete_file("report.pdf")
