"""What comes again and again is told a few times, and then seldom."""

from empirical_fs.catalog.news import News


def test_news() -> None:
    """What comes and goes is told five times in ten minutes; each kind is on its own."""
    now = 100.0
    news = News(lambda: now)
    assert [news.is_news("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert news.is_news("b")
    now += 599
    assert not news.is_news("a")
    now += 1
    assert news.is_news("a")
