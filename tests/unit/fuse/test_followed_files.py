"""Who was told that a followed file was replaced may open the next version."""

from empirical_fs.fuse.followed_files import FollowedFiles


def test_who_was_told_may_open_the_next_version() -> None:
    """For a minute after a program heard that its version is over, whoever opens the file may follow it."""
    followed = FollowedFiles()
    assert not followed.is_followed(1, 0)
    followed.told(1, 100)
    assert followed.is_followed(1, 100)
    assert followed.is_followed(1, 160)
    assert not followed.is_followed(1, 161)
    assert not followed.is_followed(2, 100)


def test_few_are_remembered() -> None:
    """However many files change, the table stays small; the latest count."""
    followed = FollowedFiles()
    for resource_id in range(10_000):
        followed.told(resource_id, 100)
    assert not followed.is_followed(0, 100)
    assert followed.is_followed(9_999, 100)
