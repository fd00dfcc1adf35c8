"""fsspec's own tests of `get`, as far as a flat folder that nobody can write to can have what they copy."""

from collections.abc import Callable
from hashlib import md5
from typing import Any

import fsspec
import pytest
from fsspec.tests.abstract import AbstractFixtures, AbstractGetTests

from tests.support.harness import Sandbox

_NAMES = ("file1", "file2", "subfile1", "subfile2", "nestedfile")
_OF_FOLDERS = (
    "test_get_directory_to_existing_directory",
    "test_get_directory_to_new_directory",
    "test_get_glob_to_existing_directory",
    "test_get_glob_to_new_directory",
    "test_get_glob_edge_cases",
    "test_get_directory_recursive",
    "test_get_directory_without_files_with_same_name_prefix",
)
"""Tests that copy folders, of which there are none here."""


@pytest.fixture(scope="module")
def seeded(shared: Sandbox) -> Sandbox:
    for name in _NAMES:
        shared.put(name, name.encode())
    for number in range(10):
        shared.put(f"{md5(str(number).encode()).hexdigest()}.txt", str(number).encode())
    return shared


class TestGet(AbstractFixtures, AbstractGetTests):
    """The files of every folder of the tests are in the one folder that there is."""

    @pytest.fixture
    def fs(self, seeded: Sandbox) -> Any:
        return fsspec.filesystem("empirical", api_url=seeded.url)

    @pytest.fixture
    def fs_path(self) -> str:
        return ""

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: str(parts[-1])

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self) -> str:
        return ""

    @pytest.fixture
    def fs_10_files_with_hashed_names(self) -> str:
        return ""


for each in _OF_FOLDERS:
    setattr(TestGet, each, None)
