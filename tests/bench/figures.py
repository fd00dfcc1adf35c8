"""What is measured, on whom, and what is wanted of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Who(StrEnum):
    """Who does the work."""

    OURS = "ours"
    RCLONE = "rclone default"
    STREAMS = "rclone 8 streams"
    BARE = "bare"
    """Nobody's mount: the same requests sent plainly, or the same read of a local file."""
    HTTP = "fsspec http"
    S3FS = "s3fs"


RCLONES = (Who.RCLONE, Who.STREAMS)
DOORS = (Who.HTTP, Who.S3FS)
"""File systems of fsspec: over the store's own HTTP, and over `rclone serve s3`."""
MOUNTS = (Who.OURS, *RCLONES)
STREAMS = ("--vfs-read-chunk-streams", "8", "--vfs-read-chunk-size", "8M")
"""With this, rclone reads a file by 8 requests at once."""


class Goal(Protocol):
    """What is wanted of a figure of ours."""

    @property
    def wanted(self) -> str:
        """The goal in words."""

    def ratio(self, medians: Mapping[Who, float]) -> float | None:
        """Ours to what it is compared with; None where one of them is missing."""

    def is_reached(self, ratio: float) -> bool:
        """Whether that is as wanted."""


def _named(peers: tuple[Who, ...]) -> str:
    if len(peers) == 1:
        return peers[0]
    return "best rclone" if peers == RCLONES else "best other"


@dataclass(frozen=True)
class AtLeast:
    """A figure of which more is better, against the best of `peers`."""

    factor: float
    peers: tuple[Who, ...]

    @property
    def wanted(self) -> str:
        return f">= {self.factor:g} x {_named(self.peers)}"

    def ratio(self, medians: Mapping[Who, float]) -> float | None:
        theirs = [medians[who] for who in self.peers if who in medians]
        return medians[Who.OURS] / max(theirs) if theirs and Who.OURS in medians else None

    def is_reached(self, ratio: float) -> bool:
        return ratio >= self.factor


@dataclass(frozen=True)
class AtMost:
    """A figure of which less is better, against the best of `peers`."""

    factor: float
    peers: tuple[Who, ...]

    @property
    def wanted(self) -> str:
        return f"<= {self.factor:g} x {_named(self.peers)}"

    def ratio(self, medians: Mapping[Who, float]) -> float | None:
        theirs = [medians[who] for who in self.peers if who in medians]
        return medians[Who.OURS] / min(theirs) if theirs and Who.OURS in medians else None

    def is_reached(self, ratio: float) -> bool:
        return ratio <= self.factor


@dataclass(frozen=True)
class NoMoreThan:
    """A figure of which less is better, against a fixed one."""

    limit: float

    @property
    def wanted(self) -> str:
        return f"<= {self.limit:g}"

    def ratio(self, medians: Mapping[Who, float]) -> float | None:
        return medians[Who.OURS] / self.limit if Who.OURS in medians else None

    def is_reached(self, ratio: float) -> bool:
        return ratio <= 1


class Better(StrEnum):
    """Which figures are the good ones."""

    MORE = "more is better"
    LESS = "less is better"


@dataclass(frozen=True)
class Caption:
    """What the picture says of a figure, to people who do not know the benchmark."""

    title: str
    unit: str
    better: Better


@dataclass(frozen=True)
class Line:
    """One figure of a row: a line of the table, or several where it has several goals."""

    what: str
    goals: tuple[Goal, ...] = ()
    caption: Caption | None = None
    """None where the picture leaves the figure out."""


@dataclass(frozen=True)
class Sample:
    """One figure of one round."""

    row: str
    what: str
    who: Who
    round: int
    value: float


@dataclass(frozen=True)
class Failure:
    """A measurement that came to nothing."""

    row: str
    who: Who
    round: int
    reason: str
