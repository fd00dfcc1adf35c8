"""The metrics as a collector for prometheus-client.

A mount registers it by itself (`--metrics`). A program that reads through fsspec, or with these parts in
another way, and has an endpoint of its own, registers it there, once for each process:

    from prometheus_client import REGISTRY
    from empirical_fs.metrics.collector import EmpiricalCollector
    from empirical_fs.metrics.measuring import Parts, measured

    REGISTRY.register(EmpiricalCollector(lambda: measured(Parts(statistics, catalog, budget, readers, lost))))

The function is called anew for each scrape, so it may look up the parts of the current process after a fork,
and return None while there is nothing to measure. `PROMETHEUS_MULTIPROC_DIR` of prometheus-client has no
effect on a collector like this one: each worker process shows its own numbers, at an endpoint of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from empirical_fs.histogram import BOUNDS, Durations
from empirical_fs.metrics.families import FAMILIES, Family
from empirical_fs.metrics.measured import Measured

_BOUNDS = [*map(str, BOUNDS), "+Inf"]


class EmpiricalCollector(Collector):
    """Yields the metrics of `families.FAMILIES`. Threads may share it: it keeps nothing."""

    def __init__(self, measure: Callable[[], Measured | None]) -> None:
        """Show what `measure` returns when it is called for a scrape; without a value: nothing."""
        self._measure = measure

    def describe(self) -> Iterator[Metric]:
        """The metrics without values, by which a registry refuses two collectors of one name."""
        for family in FAMILIES:
            yield _metric(family, [])

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; those without values are left out."""
        measured = self._measure()
        if measured is None:
            return
        for family in FAMILIES:
            values = list(family.values(measured))
            if values:
                yield _metric(family, values)


def _metric(family: Family, values: Sequence[tuple[tuple[str, ...], float | Durations]]) -> Metric:
    """A metric of prometheus-client with these values."""
    match family.type:
        case "info":
            info = InfoMetricFamily(family.name, family.help)
            for labels, _ in values:
                info.add_metric([], dict(zip(family.labels, labels, strict=True)))
            return info
        case "histogram":
            histogram = HistogramMetricFamily(
                family.name, family.help, labels=family.labels, unit=family.unit
            )
            for labels, waits in values:
                assert isinstance(waits, Durations)
                histogram.add_metric(
                    labels, list(zip(_BOUNDS, accumulate(waits.buckets), strict=True)), waits.seconds
                )
            return histogram
        case "counter" | "gauge":
            of_type = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
            metric = of_type(family.name, family.help, labels=family.labels, unit=family.unit)
            for labels, number in values:
                assert not isinstance(number, Durations)
                metric.add_metric(labels, float(number))
            return metric
