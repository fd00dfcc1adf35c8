"""A file that is being fetched into the cache on disk, its gaps, and the pieces of these under way."""

from dataclasses import dataclass, field

from empirical_fs.api.resource import Resource
from empirical_fs.cache.cached import Cached
from empirical_fs.reading.batch import Batch
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.part import Part
from empirical_fs.reading.prefetch_policy import PIECE
from empirical_fs.reading.read_ahead import Range


@dataclass(eq=False, slots=True)
class WantedFile:
    """A file that is being fetched."""

    batch: Batch
    resource: Resource
    handle: Handle
    tries: int
    cached: Cached | None = None
    """What the disk has of it; None until it is known which version the store has."""
    at: int = 0
    """The bytes before this are there, or are asked for."""
    streams: "list[Gap]" = field(default_factory=list)
    in_flight: int = 0
    counted: int = 0
    """Bytes of it that are counted as done."""

    @property
    def size(self) -> int:
        """In bytes, of the version that is fetched."""
        return self.handle.content.size


@dataclass(eq=False, slots=True)
class Gap:
    """A gap of a file, which one request fills piece by piece."""

    file: WantedFile
    at: int
    stop: int
    size: int
    in_flight: int = 0

    @property
    def next(self) -> Range:
        """The next piece, which ends where offsets are multiples of a piece."""
        return Range(self.at, min((self.at // PIECE + 1) * PIECE, self.stop))


@dataclass(eq=False, slots=True)
class Piece:
    """A piece under way; `left` is the number of its parts that are still being filled."""

    stream: Gap
    extent: Range
    parts: list[Part]
    left: int
