"""What an open version needs from its store, and what is done for it beside writing blocks."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import Folder
from empirical_fs.cache.tallies import Tallies

if TYPE_CHECKING:
    from empirical_fs.cache.cached import Cached

Validators = Mapping[str, str | None]


class Chore(Enum):
    """What the writer does beside writing blocks."""

    NOTE = auto()
    TOUCH = auto()
    DISCARD = auto()
    """Remove the files, since nobody needs this version any more."""


class Upkeep(Protocol):
    """What a version needs from its store."""

    io: Io
    folder: Folder
    tallies: Tallies

    def put_block(self, cached: "Cached", block: int, data: bytes | memoryview) -> bool:
        """Have a block written; False if it will not be."""

    def put_drop(self, cached: "Cached", block: int) -> None:
        """Have a block recorded as absent."""

    def put_chore(self, cached: "Cached", chore: Chore) -> None:
        """Have something small done."""

    def retain(self, cached: "Cached") -> None:
        """Give another reference."""

    def release(self, cached: "Cached") -> None:
        """Take back a reference."""
