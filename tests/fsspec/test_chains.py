"""fsspec's own caches, archives and progress bars work on top of `empirical://`."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.callbacks import TqdmCallback
from fsspec.generic import GenericFileSystem

from tests.support.harness import Sandbox, noise

REPORT = noise(300_000)


@pytest.fixture(scope="module")
def options(shared: Sandbox) -> dict[str, Any]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.bin", REPORT)
    shared.put("report.pdf", REPORT)
    shared.put("all.zip", file.getvalue())
    return {"api_url": shared.url}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # `blockcache` of fsspec leaves one
@pytest.mark.filterwarnings("ignore:.*rb\\+:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("chain", ["simplecache", "filecache", "blockcache"])
def test_a_cache_of_fsspec(options: dict[str, Any], chain: str, tmp_path: Path) -> None:
    ours = {chain: {"cache_storage": str(tmp_path / "cache")}, "empirical": options}
    for _ in range(2):
        with fsspec.open(f"{chain}::empirical://report.pdf", **ours) as file:
            assert file.read(10) == REPORT[:10]
            file.seek(-5, os.SEEK_END)
            assert file.read() == REPORT[-5:]


def test_an_archive(options: dict[str, Any]) -> None:
    fs = fsspec.filesystem("empirical", **options)
    with fs.open("all.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inner.bin") == REPORT
    with fsspec.open("zip://inner.bin::empirical://all.zip", empirical=options) as inner:
        assert inner.read() == REPORT


def test_a_progress_bar(options: dict[str, Any], tmp_path: Path) -> None:
    shown = io.StringIO()
    callback = TqdmCallback(tqdm_kwargs={"file": shown})
    fsspec.filesystem("empirical", **options).get("*", f"{tmp_path}/", callback=callback)
    callback.close()
    assert "2/2" in shown.getvalue()


def test_a_copy_to_another_file_system(options: dict[str, Any], tmp_path: Path) -> None:
    fsspec.filesystem("empirical", **options)
    GenericFileSystem(default_method="current").copy("empirical://report.pdf", f"file://{tmp_path}/copy")
    assert (tmp_path / "copy").read_bytes() == REPORT
