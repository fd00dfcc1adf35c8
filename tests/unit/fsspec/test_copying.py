"""Where copies go, and which files are read together."""

import io
from pathlib import Path

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fsspec.copying import destinations, grouped

MIB = 2**20


def entry(name: str, size: int | None) -> Entry:
    return Entry(name, Resource(id=1, name=name, size=size, updated_ns=0, link=None))


def test_one_file_goes_to_the_path_or_into_the_folder(tmp_path: Path) -> None:
    new, folder = tmp_path / "new", tmp_path / "folder"
    folder.mkdir()
    assert destinations(["a"], new, is_one=True) == [("a", new)]
    assert destinations(["a"], str(new), is_one=True) == [("a", new)]
    assert destinations(["a"], f"{new}/", is_one=True) == [("a", new / "a")]
    assert destinations(["a"], folder, is_one=True) == [("a", folder / "a")]


def test_others_go_below_it(tmp_path: Path) -> None:
    assert destinations(["a", "b"], tmp_path, is_one=False) == [("a", tmp_path / "a"), ("b", tmp_path / "b")]
    assert destinations(["a"], tmp_path / "new", is_one=False) == [("a", tmp_path / "new" / "a")]


def test_each_to_its_own(tmp_path: Path) -> None:
    file = io.BytesIO()
    assert destinations(["a", "b"], [tmp_path, file], is_one=False) == [("a", tmp_path), ("b", file)]
    assert destinations(["a"], file, is_one=True) == [("a", file)]
    with pytest.raises(ValueError, match="zip"):
        destinations(["a", "b"], [tmp_path], is_one=False)


def test_small_files_are_read_together_as_far_as_memory_allows() -> None:
    listed = {str(number): entry(str(number), MIB) for number in range(40)}
    groups, others = grouped([(name, name) for name in listed], listed)
    assert [len(each) for each in groups] == [32, 8]
    assert [name for each in groups for name, _ in each] == list(listed)
    assert others == []


def test_what_is_read_by_itself() -> None:
    """Large files, those without a size or unknown, and what is no path."""
    listed = {"large": entry("large", MIB + 1), "unsized": entry("unsized", None), "file": entry("file", 1)}
    pairs = [("large", "a"), ("unsized", "b"), ("gone", "c"), ("file", io.BytesIO())]
    assert grouped(pairs, listed) == ([], pairs)
