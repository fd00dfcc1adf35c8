"""Numbers as a mount measures them, without a mount; and Prometheus' own parser of what is shown of them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from empirical_fs.cache.tallies import Counts as CacheCounts
from empirical_fs.metrics.measured import Measured, MeasuredCache
from empirical_fs.statistics import Statistics

_parsed: Callable[[str], Iterable[Metric]] = text_string_to_metric_families


def families(text: str) -> list[Metric]:
    """The metrics in a text, which fails the test if it is not OpenMetrics."""
    return list(_parsed(text))


WITHOUT_CACHE = Measured(
    counts=Statistics().counts(),
    resources=3,
    resources_size=2**40,
    listing_age=61.5,
    is_listing_failing=False,
    unreadable_entries=1,
    is_offline=True,
    out_of_reach={"api": 1, "store": 0},
    memory_held=5,
    memory_budget=2**28,
    open_files=2,
    threads=9,
)
WITH_CACHE = replace(
    WITHOUT_CACHE,
    cache=MeasuredCache(used=10, limit=2**33, is_paused=True, counts=CacheCounts(hits=7, misses=4)),
)
