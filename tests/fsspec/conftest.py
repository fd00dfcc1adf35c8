"""A project and a file system on it, in the process of the tests."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import pytest

from empirical_fs.fsspec import EmpiricalFileSystem
from tests.support.harness import KEY, Sandbox, environment, serving

OpenFs = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def variables() -> Iterator[pytest.MonkeyPatch]:
    """The environment of a user with a key, and without proxies and a configuration file."""
    with pytest.MonkeyPatch.context() as patch:
        wanted = environment(EMPIRICALRUN_KEY=KEY)
        for name in set(os.environ) - set(wanted):
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A project that no test changes, after its module has put files into it."""
    place = tmp_path_factory.mktemp("shared")
    with serving(place / "project", place / "url") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close what a test has opened, before its project ends: it would log that the listing does not come."""
    for each in {"sandbox", "cabled"}.intersection(request.fixturenames):
        request.getfixturevalue(each)
    yield
    EmpiricalFileSystem.clear_instance_cache()
    gc.collect()


@pytest.fixture
def fs(sandbox: Sandbox) -> OpenFs:
    """Makes file systems of the test's own project."""

    def make(**options: Any) -> Any:
        return fsspec.filesystem("empirical", api_url=sandbox.url, **options)

    return make
