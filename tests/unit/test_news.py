from empirical_fs.news import News


def test_news() -> None:
    """What was told ten minutes ago may be told again; each kind is on its own."""
    now = 100.0
    news = News(lambda: now)
    assert [news.is_news(kind) for kind in ("a", "a", "b", "a")] == [True, False, True, False]
    now += 599
    assert not news.is_news("a")
    now += 1
    assert news.is_news("a")
