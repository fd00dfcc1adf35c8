"""The numbers behind the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.cache.tallies import Counts as CacheCounts
from empirical_fs.statistics import Counts, Kind


@dataclass(frozen=True, slots=True)
class MeasuredCache:
    """The numbers of the cache on disk: sizes in bytes."""

    used: int | None
    """None before it is known."""
    limit: int
    is_paused: bool
    """Whether nothing is written at the moment."""
    counts: CacheCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers at one moment: times in seconds, sizes in bytes."""

    counts: Counts
    resources: int
    resources_size: int
    listing_age: float
    is_listing_failing: bool
    """Whether the listing could not be fetched when that was tried last."""
    unreadable_entries: int
    is_offline: bool
    """Whether the API is out of reach, or was not asked since a start from the cache."""
    out_of_reach: Mapping[Kind, int]
    """How many servers of each kind are out of reach."""
    memory_held: int
    memory_budget: int
    open_files: int
    threads: int
    cache: MeasuredCache | None = None
    """The cache on disk; None if it is off."""
