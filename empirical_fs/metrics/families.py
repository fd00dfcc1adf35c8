"""The table of the metrics: names by Prometheus' conventions, types, units, and where the numbers come from.

https://prometheus.io/docs/practices/naming/ and the OpenMetrics specification, 1.0.0. A counter is called
`NAME_total` where it is shown, and a unit is the end of its name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from empirical_fs import __version__
from empirical_fs.cache.tallies import Counts as CacheCounts
from empirical_fs.histogram import Durations
from empirical_fs.metrics.measured import Measured
from empirical_fs.statistics import KINDS, OUTCOMES

ERRNOS = ("EACCES", "EINTR", "EIO", "ESTALE")
"""The errnos that are shown from the start; an operation that fails with another adds that."""

Values = Iterable[tuple[tuple[str, ...], "float | Durations"]]
"""The values of the labels, each with the number or the histogram."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    """Without the `_total` of counters, and the `_info` of information."""
    type: Literal["counter", "gauge", "histogram", "info"]
    help: str
    values: Callable[[Measured], Values]
    labels: tuple[str, ...] = ()
    unit: str = ""
    """The end of the name, where that is a unit."""

    @property
    def shown_name(self) -> str:
        """The name as it is shown to people."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.type, "")


def _one(number: Callable[[Measured], float]) -> Callable[[Measured], Values]:
    return lambda measured: [((), number(measured))]


def _of_cache(number: Callable[[CacheCounts], int]) -> Callable[[Measured], Values]:
    return lambda measured: [] if measured.cache is None else [((), number(measured.cache.counts))]


def _requests(measured: Measured) -> Values:
    found = measured.counts.requests
    return [((kind, outcome), found.get((kind, outcome), 0)) for kind in KINDS for outcome in OUTCOMES]


def _request_waits(measured: Measured) -> Values:
    return [((kind,), waits) for kind, waits in measured.counts.request_waits.items()]


def _in_flight(measured: Measured) -> Values:
    return [((kind,), count) for kind, count in measured.counts.requests_in_flight.items()]


def _out_of_reach(measured: Measured) -> Values:
    return [((kind,), count) for kind, count in measured.out_of_reach.items()]


def _errors(measured: Measured) -> Values:
    counted = {**dict.fromkeys(ERRNOS, 0), **measured.counts.errors}
    return [((name,), count) for name, count in sorted(counted.items())]


def _used(measured: Measured) -> Values:
    cache = measured.cache
    return [] if cache is None or cache.used is None else [((), cache.used)]


def _limit(measured: Measured) -> Values:
    return [] if measured.cache is None else [((), measured.cache.limit)]


def _paused(measured: Measured) -> Values:
    return [] if measured.cache is None else [((), measured.cache.is_paused)]


FAMILIES = (
    Family(
        "empirical_build", "info", "The version that serves.", lambda _: [((__version__,), 1)], ("version",)
    ),
    Family(
        "empirical_reads",
        "counter",
        "Reads that were answered with bytes.",
        _one(lambda measured: measured.counts.reads),
    ),
    Family(
        "empirical_reads_from_memory",
        "counter",
        "Those of the reads whose bytes had arrived before.",
        _one(lambda measured: measured.counts.reads_from_memory),
    ),
    Family(
        "empirical_read_bytes",
        "counter",
        "Bytes that reads were answered with.",
        _one(lambda measured: measured.counts.bytes_read),
        unit="bytes",
    ),
    Family(
        "empirical_read_wait_seconds",
        "histogram",
        "How long reads waited whose bytes had not arrived, until these, an error or their giving up.",
        lambda measured: [((), measured.counts.read_waits)],
        unit="seconds",
    ),
    Family(
        "empirical_failures_in_a_row",
        "gauge",
        "Operations that failed since bytes arrived last, because bytes could not be fetched.",
        _one(lambda measured: measured.counts.failed_in_a_row),
    ),
    Family(
        "empirical_errors",
        "counter",
        "Operations that failed, by the name of the errno.",
        _errors,
        ("errno",),
    ),
    Family(
        "empirical_fetched_bytes",
        "counter",
        "Bytes that arrived from the store.",
        _one(lambda measured: measured.counts.bytes_fetched),
        unit="bytes",
    ),
    Family(
        "empirical_requests",
        "counter",
        "Requests that were sent, by server (api, store) and by how they ended.",
        _requests,
        ("server", "outcome"),
    ),
    Family(
        "empirical_request_wait_seconds",
        "histogram",
        "How long requests took from being sent to the head of the answer, or to their end without one.",
        _request_waits,
        ("server",),
        "seconds",
    ),
    Family(
        "empirical_requests_in_flight",
        "gauge",
        "Requests under way, with the bodies of their answers.",
        _in_flight,
        ("server",),
    ),
    Family(
        "empirical_urls_signed",
        "counter",
        "URLs that the API signed on request; those in a listing do not count.",
        _one(lambda measured: measured.counts.urls_signed),
    ),
    Family(
        "empirical_servers_out_of_reach",
        "gauge",
        "Servers that do not answer, so that reads that need them fail at once.",
        _out_of_reach,
        ("server",),
    ),
    Family(
        "empirical_offline",
        "gauge",
        "1 if the API is out of reach, or the listing is that of the disk; else 0.",
        _one(lambda measured: measured.is_offline),
    ),
    Family(
        "empirical_resources",
        "gauge",
        "Resources in the listing.",
        _one(lambda measured: measured.resources),
    ),
    Family(
        "empirical_resources_size_bytes",
        "gauge",
        "The sum of their sizes.",
        _one(lambda measured: measured.resources_size),
        unit="bytes",
    ),
    Family(
        "empirical_listing_age_seconds",
        "gauge",
        "How old the listing is; it is fetched again only when somebody looks.",
        _one(lambda measured: measured.listing_age),
        unit="seconds",
    ),
    Family(
        "empirical_listing_failing",
        "gauge",
        "1 if the listing could not be fetched when that was tried last; else 0.",
        _one(lambda measured: measured.is_listing_failing),
    ),
    Family(
        "empirical_listing_unreadable_entries",
        "gauge",
        "Entries of the listing that cannot be read.",
        _one(lambda measured: measured.unreadable_entries),
    ),
    Family(
        "empirical_memory_held_bytes",
        "gauge",
        "Read data that is held in memory.",
        _one(lambda measured: measured.memory_held),
        unit="bytes",
    ),
    Family(
        "empirical_memory_limit_bytes",
        "gauge",
        "What that may be, as --memory says.",
        _one(lambda measured: measured.memory_budget),
        unit="bytes",
    ),
    Family(
        "empirical_open_files",
        "gauge",
        "Open files, with those that are open only to be fetched ahead.",
        _one(lambda measured: measured.open_files),
    ),
    Family(
        "empirical_threads",
        "gauge",
        "Threads of the process.",
        _one(lambda measured: measured.threads),
    ),
    Family(
        "empirical_cache_hits",
        "counter",
        "Ranges that were wanted and were in the cache on disk.",
        _of_cache(lambda counts: counts.hits),
    ),
    Family(
        "empirical_cache_misses",
        "counter",
        "Ranges that were wanted and were not all in the cache on disk.",
        _of_cache(lambda counts: counts.misses),
    ),
    Family(
        "empirical_cache_read_bytes",
        "counter",
        "Bytes that came from the cache on disk.",
        _of_cache(lambda counts: counts.bytes_read),
        unit="bytes",
    ),
    Family(
        "empirical_cache_blocks_written",
        "counter",
        "Blocks that were written into the cache.",
        _of_cache(lambda counts: counts.blocks_kept),
    ),
    Family(
        "empirical_cache_blocks_refused",
        "counter",
        "Blocks that were not written: the disk was slow, full or off.",
        _of_cache(lambda counts: counts.blocks_dropped),
    ),
    Family(
        "empirical_cache_blocks_damaged",
        "counter",
        "Blocks in the cache whose checksum did not match.",
        _of_cache(lambda counts: counts.blocks_damaged),
    ),
    Family(
        "empirical_cache_files_abandoned",
        "counter",
        "Files of the cache that are left alone after an error of the disk.",
        _of_cache(lambda counts: counts.files_off),
    ),
    Family(
        "empirical_cache_evictions",
        "counter",
        "Files of the cache that this process removed to make room.",
        _of_cache(lambda counts: counts.evictions),
    ),
    Family(
        "empirical_cache_evicted_bytes",
        "counter",
        "What that freed.",
        _of_cache(lambda counts: counts.bytes_evicted),
        unit="bytes",
    ),
    Family(
        "empirical_cache_used_bytes",
        "gauge",
        "What the cache takes on disk, for all its processes; absent before it is known.",
        _used,
        unit="bytes",
    ),
    Family(
        "empirical_cache_limit_bytes",
        "gauge",
        "What that may be, as --cache-size says.",
        _limit,
        unit="bytes",
    ),
    Family(
        "empirical_cache_paused",
        "gauge",
        "1 if nothing is written into the cache at the moment; else 0.",
        _paused,
    ),
)
"""Every metric, in the order in which they are shown. Those of the cache have no value without one."""
