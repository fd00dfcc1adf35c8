"""Fixtures for every test; what they are made of is in support/harness.py."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from empirical_fs.fuse.loader import LIBRARY_VARIABLE
from tests.support.cable import Cable, laid
from tests.support.harness import (
    Mounted,
    Sandbox,
    mounted,
    mounted_by_program,
    mounted_in_background,
    serving,
)

pytest_plugins = ["tests.support.log_check"]

_WAYS = {"in_background": mounted_in_background, "by_program": mounted_by_program}

Mount = Callable[..., AbstractContextManager[Mounted]]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage meanwhile, and never go through the modules and thousands of tests later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_libraries") and not os.environ.get(LIBRARY_VARIABLE):
        metafunc.parametrize("libfuse", ["2", "3"], indirect=True, ids=["libfuse2", "libfuse3"])


@pytest.fixture(autouse=True)
def libfuse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libfuse of the mounts: 2, and with the marker `both_libraries` 3 too; or what the variable says."""
    if not os.environ.get(LIBRARY_VARIABLE):
        monkeypatch.setenv(LIBRARY_VARIABLE, getattr(request, "param", "2"))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with serving(tmp_path / "project", tmp_path / "sandbox-url") as sandbox:
        yield sandbox


@pytest.fixture
def cable() -> Iterator[Cable]:
    with laid() as cable:
        yield cable


@pytest.fixture
def cabled(cable: Cable, tmp_path: Path) -> Iterator[Sandbox]:
    """A project whose API and store are at the far end of the cable."""
    with serving(tmp_path / "project", tmp_path / "sandbox-url", "--public-host", cable.host) as sandbox:
        cable.plug(sandbox.url)
        yield sandbox


@pytest.fixture
def mount(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Mount:
    """Mounts the sandbox's project: `with mount("--refresh", "1") as mounted:`.

    Most tests save time: the command is forked from a process that has imported it, and serves in the
    foreground. With the marker `in_background` it ends once its mount is there, as it does for users; with
    `by_program` it also starts as it does for them.
    """
    way: Mount = mounted
    for marker, other in _WAYS.items():
        if request.node.get_closest_marker(marker):
            way = other

    def mount_it(*options: str | Path) -> AbstractContextManager[Mounted]:
        return way(tmp_path / "mnt", sandbox.url, *options)

    return mount_it
