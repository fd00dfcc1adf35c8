"""One sandbox for all tests of this folder, emptied before each."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.served import Served, serving


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("sandbox")
    folder = home / "project"
    folder.mkdir()
    with serving(folder, home / "ready") as served:
        yield served


@pytest.fixture
def sandbox(shared_sandbox: Served) -> Served:
    """The session's sandbox with an empty folder, a plan of defaults and an empty journal.

    What was patched stays so, by its path: such tests take names of their own.
    """
    for entry in list(shared_sandbox.folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shared_sandbox.plan()
    shared_sandbox.clear()
    return shared_sandbox
