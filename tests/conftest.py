"""Fixtures for every test; what they are made of is in support/harness.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.cable import Cable, laid
from tests.support.harness import Mounted, Sandbox, mounted, mounted_by_program, serving

pytest_plugins = ["tests.support.log_check"]

Mount = Callable[..., AbstractContextManager[Mounted]]


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

    Most tests save time: the command is forked from a process that has imported it. With the marker
    `by_program` it starts as it does for users.
    """
    way = mounted_by_program if request.node.get_closest_marker("by_program") else mounted

    def mount_it(*options: str | Path) -> AbstractContextManager[Mounted]:
        return way(tmp_path / "mnt", sandbox.url, *options)

    return mount_it
