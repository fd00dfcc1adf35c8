"""The counts of a mount, its throughput of the last seconds, and its requests in flight."""

from contextlib import ExitStack

import pytest

from empirical_fs.statistics import RATE_SECONDS, Statistics


def test_counts() -> None:
    """Everything is counted under its own name."""
    statistics = Statistics()
    statistics.read(5, waited=True)
    statistics.read(6, waited=False)
    statistics.read(0, waited=False)
    statistics.signed()
    statistics.failed("EIO")
    statistics.failed("EIO")
    counts = statistics.counts()
    assert (counts.reads, counts.reads_from_memory, counts.urls_signed) == (3, 2, 1)
    assert counts.bytes_read == 11
    assert counts.errors == {"EIO": 2}


def test_waits_and_outcomes() -> None:
    """A wait counts in the first bucket whose bound it does not exceed, and a request under how it ended."""
    statistics = Statistics()
    for seconds in (0.001, 0.0011, 31.0, -1.0):
        statistics.waited(seconds)
    waits = statistics.counts().read_waits
    assert (waits.count, waits.buckets[:2], waits.buckets[-1]) == (4, (2, 1), 1)
    assert waits.seconds == pytest.approx(31.0021)
    statistics.requested("store", "busy", 0.5)
    counts = statistics.counts()
    assert counts.requests == {("store", "busy"): 1}
    assert (counts.request_waits["store"].count, counts.request_waits["api"].count) == (1, 0)


def test_throughput_is_of_the_last_seconds() -> None:
    """What was fetched long ago counts in the sum, and not in the rate."""
    now = 100.0
    statistics = Statistics(lambda: now)
    statistics.fetched(1000)
    now += RATE_SECONDS / 2
    statistics.fetched(500)
    assert statistics.counts().bytes_per_second == 1500 / RATE_SECONDS
    now += RATE_SECONDS * 0.75
    assert statistics.counts().bytes_per_second == 500 / RATE_SECONDS
    now += RATE_SECONDS
    assert (statistics.counts().bytes_per_second, statistics.counts().bytes_fetched) == (0, 1500)


def test_requests_in_flight() -> None:
    """A request is in flight until it ends, in whatever way."""
    statistics = Statistics()
    with ExitStack() as requests:
        for _ in range(2):
            requests.enter_context(statistics.request("store"))
        assert statistics.counts().requests_in_flight == {"api": 0, "store": 2}
    assert statistics.counts().requests_in_flight == {"api": 0, "store": 0}


def test_reads_that_fail_one_after_another() -> None:
    """They count, and their time, until bytes come; a file that changed does not count."""
    now = 100.0
    statistics = Statistics(lambda: now)
    statistics.failed("ESTALE")
    assert (statistics.counts().failed_in_a_row, statistics.counts().failing_for) == (0, 0)
    for _ in range(3):
        statistics.failed("EIO")
        now += 5
    statistics.fetched(0)
    assert (statistics.counts().failed_in_a_row, statistics.counts().failing_for) == (3, 15)
    statistics.fetched(1)
    assert (statistics.counts().failed_in_a_row, statistics.counts().failing_for) == (0, 0)
