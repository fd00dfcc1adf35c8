"""The numbers behind the metrics, taken from the parts that read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.open_files import Readers
from empirical_fs.statistics import Counts, Kind, Statistics

if TYPE_CHECKING:  # not imported where the cache on disk is off
    from empirical_fs.cache.store import State


class Parts(NamedTuple):
    """The parts that are measured, of a mount or of another door to the same files."""

    statistics: Statistics
    catalog: Catalog
    budget: Budget
    readers: Readers
    lost: Mapping[Kind, Callable[[], Mapping[str, float]]]
    """For each kind of server, what returns the hosts that are out of reach."""
    cache: "Callable[[], State | None]" = lambda: None
    """Returns the state of the cache on disk; None without one."""


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
    cache: "State | None" = None


def measured(parts: Parts) -> Measured:
    """Measure the parts now. It asks no server, and waits for nothing."""
    catalog, snapshot = parts.catalog, parts.catalog.latest
    out_of_reach = {kind: len(lost()) for kind, lost in parts.lost.items()}
    return Measured(
        counts=parts.statistics.counts(),
        resources=len(snapshot.by_name),
        resources_size=snapshot.size,
        listing_age=catalog.age,
        is_listing_failing=bool(catalog.failure),
        unreadable_entries=catalog.known.unreadable,
        is_offline=catalog.is_restored or bool(out_of_reach.get("api")),
        out_of_reach=out_of_reach,
        memory_held=parts.budget.held,
        memory_budget=parts.budget.total,
        open_files=parts.readers.open_handles,
        threads=_threads(),
        cache=parts.cache(),
    )


def _threads() -> int:
    """The threads of this process; those that were not started by `threading` too."""
    import psutil  # noqa: PLC0415 - it takes 20 ms of a start, and is needed only where metrics are on

    return psutil.Process().num_threads()
