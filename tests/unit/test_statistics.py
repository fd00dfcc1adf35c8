"""The counts of a mount, its throughput of the last seconds, and its requests in flight."""

from contextlib import ExitStack

from empirical_fs.statistics import RATE_SECONDS, Statistics


def test_counts() -> None:
    """Everything is counted under its own name."""
    statistics = Statistics()
    statistics.read(waited=True)
    statistics.read(waited=False)
    statistics.read(waited=False)
    statistics.signed()
    statistics.failed("EIO")
    statistics.failed("EIO")
    counts = statistics.counts()
    assert (counts.reads, counts.reads_from_memory, counts.urls_signed) == (3, 2, 1)
    assert counts.errors == {"EIO": 2}


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
