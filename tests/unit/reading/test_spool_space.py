"""A whole file that found no room on the disk is not fetched again until there is some."""

from dataclasses import dataclass, field

import pytest

from empirical_fs.errors import SpoolFailed
from empirical_fs.reading.spool_space import SpoolSpace

SIZE = 1000


@dataclass
class Disk:
    """A disk that has so many bytes left, on a clock of its own."""

    left: int = 0
    seconds: float = 100.0
    room: SpoolSpace = field(init=False)

    def __post_init__(self) -> None:
        self.room = SpoolSpace(lambda size: size <= self.left, lambda: self.seconds)

    @property
    def may_be_fetched(self) -> bool:
        try:
            self.room.check()
        except SpoolFailed:
            return False
        return True


def test_what_never_failed_is_fetched() -> None:
    """Nobody looks at the disk before it is needed."""
    assert Disk(left=0).may_be_fetched


def test_what_found_no_room_is_not_fetched_until_there_is_some() -> None:
    """While the disk is full nothing is fetched for it; when it is not, at once."""
    disk = Disk(left=SIZE - 1)
    with pytest.raises(SpoolFailed, match=f"{SIZE} bytes"):
        disk.room.take(SIZE)
    disk.room.failed(10)
    assert not disk.may_be_fetched
    disk.left = SIZE
    assert disk.may_be_fetched
    disk.room.take(SIZE)


def test_what_failed_though_there_seemed_to_be_room() -> None:
    """A quota shows in no number: it is tried again after a while."""
    disk = Disk(left=2 * SIZE)
    disk.room.take(SIZE)
    disk.room.failed(SIZE)
    assert not disk.may_be_fetched
    disk.seconds += 5
    assert disk.may_be_fetched


def test_the_server_is_asked_again_some_time() -> None:
    """It may send parts of files by then, which need no room."""
    disk = Disk()
    disk.room.failed(SIZE)
    disk.seconds += 29
    assert not disk.may_be_fetched
    disk.seconds += 1
    assert disk.may_be_fetched
