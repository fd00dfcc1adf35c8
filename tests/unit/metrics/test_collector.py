"""The metrics: their names and types, what is documented of them, and that counters never go down."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from empirical_fs.errnos import ERRNO
from empirical_fs.histogram import BOUNDS
from empirical_fs.metrics.collector import EmpiricalCollector
from empirical_fs.metrics.families import ERRNOS, FAMILIES
from empirical_fs.metrics.measured import Measured
from empirical_fs.statistics import KINDS, OUTCOMES, Statistics
from tests.unit.metrics.measured import WITH_CACHE, WITHOUT_CACHE, families

REFERENCE = Path(__file__).parents[3] / ".github" / "REFERENCE.md"
shown_of: Callable[[Collector], bytes] = generate_latest


def parsed(measured: Measured | None) -> dict[str, Metric]:
    """What Prometheus' own parser reads from what is shown of `measured`."""
    registry = CollectorRegistry()
    registry.register(EmpiricalCollector(lambda: measured))
    return {family.name: family for family in families(shown_of(registry).decode())}


def values(measured: Measured) -> dict[tuple[str, ...], float]:
    """Every number by the name of its sample and the values of its labels."""
    samples = [sample for family in parsed(measured).values() for sample in family.samples]
    return {(each.name, *each.labels.values()): each.value for each in samples}


def test_every_metric_of_the_table_is_shown() -> None:
    """Under its name, with its type, its unit and its help; those of the cache only where there is one."""
    shown = parsed(WITH_CACHE)
    assert [(each.name, each.type, each.unit, each.documentation) for each in shown.values()] == [
        (each.name, each.type, each.unit, each.help) for each in FAMILIES
    ]
    assert all(family.samples for family in shown.values())
    without = parsed(WITHOUT_CACHE)
    assert shown.keys() - without.keys() == {name for name in shown if name.startswith("empirical_cache_")}


def test_names_are_as_prometheus_wants_them() -> None:
    """A prefix, base units at the end, no type in a name; help is a sentence."""
    for each in FAMILIES:
        assert re.fullmatch("empirical(_[a-z]+)+", each.name)
        assert not re.search("_(total|count|sum|bucket|counter|gauge|milliseconds|kib)$", each.name)
        assert each.unit in {"", "bytes", "seconds"}
        assert (
            each.name.endswith(f"_{each.unit}")
            if each.unit
            else not each.name.endswith(("_bytes", "_seconds"))
        )
        assert re.fullmatch("[A-Z0-9].*[.]", each.help)


def test_every_metric_is_documented() -> None:
    """The table of the reference has each, with its type, its labels and its meaning, and no other."""
    rows = re.findall(
        r"^\| `(empirical_\w+)` \| (\w+) \| (.*) \| (.*) \|$", REFERENCE.read_text(), re.MULTILINE
    )
    assert rows == [
        (each.shown_name, each.type, ", ".join(f"`{label}`" for label in each.labels), each.help)
        for each in FAMILIES
    ]


def test_labels_are_of_fixed_sets() -> None:
    """Nothing that happens adds a label; what is counted is told apart by what is known beforehand."""
    allowed: dict[str, set[str]] = {"server": set(KINDS), "outcome": set(OUTCOMES), "errno": set(ERRNOS)}
    for family in parsed(WITH_CACHE).values():
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert label in {"le", "version"} or value in allowed[label]
    assert len(values(WITH_CACHE)) < 100


def test_the_errnos_are_those_that_are_counted() -> None:
    assert set(ERRNOS) == {"EACCES", "EINTR", "EIO", "ESTALE"}
    assert len(ERRNOS) == len(set(ERRNO.values())) - 1, "all but ENOENT, which is no failure"


def test_numbers_are_those_that_were_measured() -> None:
    statistics = Statistics()
    statistics.read(100, waited=False)
    statistics.read(50, waited=True)
    statistics.waited(0.02)
    statistics.waited(1000)
    statistics.fetched(70)
    statistics.failed("EIO")
    statistics.failed("ENOSPC")
    statistics.requested("store", "busy", 0.5)
    found = values(replace(WITH_CACHE, counts=statistics.counts()))
    assert found["empirical_reads_total",] == 2
    assert found["empirical_reads_from_memory_total",] == 1
    assert found["empirical_read_bytes_total",] == 150
    assert found["empirical_fetched_bytes_total",] == 70
    assert [
        found["empirical_read_wait_seconds_bucket", bound] for bound in ("0.01", "0.03", "30.0", "+Inf")
    ] == [
        0,
        1,
        1,
        2,
    ]
    assert found["empirical_read_wait_seconds_count",] == 2
    assert found["empirical_read_wait_seconds_sum",] == pytest.approx(1000.02)
    assert (found["empirical_errors_total", "EIO"], found["empirical_errors_total", "ESTALE"]) == (1, 0)
    assert found["empirical_errors_total", "ENOSPC"] == 1
    assert sum(value for (name, *_), value in found.items() if name == "empirical_requests_total") == 1
    assert found["empirical_resources_size_bytes",] == 2**40
    assert found["empirical_offline",] == 1
    assert (found["empirical_cache_hits_total",], found["empirical_cache_paused",]) == (7, 1)


def test_without_a_mount_nothing_is_shown() -> None:
    """Not zeros, which a graph would take for a mount that does nothing."""
    assert parsed(None) == {}


def test_a_registry_takes_one_collector() -> None:
    """A second one of the same names is refused, and registering measures nothing."""
    registry = CollectorRegistry()

    def measure() -> Measured:
        raise AssertionError("not now")

    registry.register(EmpiricalCollector(measure))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(EmpiricalCollector(measure))


def test_the_older_text_format() -> None:
    registry = CollectorRegistry()
    registry.register(EmpiricalCollector(lambda: WITH_CACHE))
    text = exposition.generate_latest(registry).decode()
    assert "# TYPE empirical_reads_total counter\nempirical_reads_total 0.0\n" in text


Event = Callable[[Statistics], object]
EVENTS: Iterable[Event] = [
    lambda each: each.read(2**40, waited=True),
    lambda each: each.waited(0.2),
    lambda each: each.waited(-5.0),
    lambda each: each.waited(max(BOUNDS) * 2),
    lambda each: each.fetched(2**62),
    lambda each: each.fetched(0),
    lambda each: each.signed(),
    lambda each: each.failed("EIO"),
    lambda each: each.requested("api", "no_answer", 1e-9),
    lambda each: each.requested("store", "success", 3.0),
]


@settings(max_examples=20)
@given(st.lists(st.sampled_from(list(EVENTS)), max_size=12))
def test_counters_never_go_down(events: list[Event]) -> None:
    """Whatever happens; sums and buckets of histograms count as counters, too."""
    statistics = Statistics()

    def counters() -> dict[tuple[str, ...], float]:
        families = parsed(replace(WITHOUT_CACHE, counts=statistics.counts()))
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families.values()
            if family.type in {"counter", "histogram"}
            for sample in family.samples
        }

    before = counters()
    for event in events:
        event(statistics)
        after = counters()
        assert all(after[name] >= value for name, value in before.items())
        before = after
