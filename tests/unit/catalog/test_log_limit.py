"""What comes again and again is told a few times, and then seldom."""

from empirical_fs.catalog.log_limit import LogLimit


def test_news() -> None:
    """What comes and goes is told five times in ten minutes; each kind is on its own."""
    now = 100.0
    limit = LogLimit(lambda: now)
    assert [limit.allows("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert limit.allows("b")
    now += 599
    assert not limit.allows("a")
    now += 1
    assert limit.allows("a")
