"""The first open after a change, of which the listing has not heard yet, goes on with the new content."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.mount.test_inodes import SIZE, library, put, version
from tests.support.harness import Mounted, Sandbox, mounted, opened, wait_until

__all__ = ["library"]


@pytest.fixture
def mount(sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]) -> Iterator[Mounted]:
    put(sandbox, "a", 0)
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "1000", variables=library) as mount:
        yield mount


def test_a_file_that_is_sent_some_time_after_it_was_chosen(sandbox: Sandbox, mount: Mounted) -> None:
    """A browser looks at it and reads its head, and later asks for its size and reads as much."""
    path = mount / "a"
    for number, size in ((1, SIZE * 2), (2, SIZE)):
        with path.open("rb") as file:
            file.read(1000)
        chosen = time.monotonic()
        put(sandbox, "a", number, size)
        wait_until(lambda chosen=chosen: time.monotonic() > chosen + 3, "some time")  # type: ignore[misc]
        with opened(path, ahead=True) as descriptor:
            told = os.fstat(descriptor).st_size
            assert told == size
            assert os.pread(descriptor, told, 0) == version(number, size)
            assert os.pread(descriptor, 10, told) == b""


def test_a_file_of_which_nobody_has_read(sandbox: Sandbox, mount: Mounted) -> None:
    """It is read as what it is by now, by who has it open already, and at once."""
    path = mount / "a"
    with opened(path) as descriptor, opened(path) as other:
        put(sandbox, "a", 1)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(partial(os.pread, descriptor, 10), range(0, SIZE, SIZE // 4)))
        assert set(found) == {b"B" * 10}
        assert os.pread(other, SIZE, 0) == version(1)
        assert path.read_bytes() == version(1)
    assert not [line for line in mount.log_lines() if "WARNING" in line or "ERROR" in line]
