"""Takes the numbers behind the metrics from the parts that read."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.metrics.measured import Measured, MeasuredCache
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.open_files import Readers
from empirical_fs.statistics import Kind, Statistics

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


def measured(parts: Parts) -> Measured:
    """Measure the parts now. It asks no server, and waits for nothing."""
    catalog, snapshot = parts.catalog, parts.catalog.latest
    cache = parts.cache()
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
        cache=None if cache is None else _measured(cache),
    )


def _measured(cache: "State") -> MeasuredCache:
    return MeasuredCache(cache.used, cache.limit, cache.paused is not None, cache.counts)


def _threads() -> int:
    """The threads of this process; those that were not started by `threading` too."""
    import psutil  # noqa: PLC0415 - it takes 20 ms of a start, and is needed only where metrics are on

    return psutil.Process().num_threads()
