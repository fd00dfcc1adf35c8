"""What identifies a resource and its versions."""

from dataclasses import replace
from itertools import combinations

from empirical_fs.cache.keys import Identity, ResourceKey

KEYS = [
    ResourceKey("https://a", "b", 1),
    ResourceKey("https://a", "b", 11),
    ResourceKey("https://ab", "", 1),
    ResourceKey("https://a", "b1", 1),
    ResourceKey("https://a\ud800", "b", 1),
]


def test_each_resource_has_a_digest_of_its_own_and_it_can_be_a_file_name() -> None:
    for one, other in combinations(KEYS, 2):
        assert one.digest != other.digest
    for key in KEYS:
        assert len(key.digest) == 32
        assert int(key.digest, 16) >= 0


def test_with_a_strong_etag_the_date_does_not_count() -> None:
    version = Identity(5, '"tag"', 1)
    assert replace(version, updated_ns=2).digest == version.digest
    assert replace(version, etag='"other"').digest != version.digest
    assert replace(version, size=6).digest != version.digest


def test_without_a_strong_etag_size_and_date_count() -> None:
    for etag in (None, 'W/"tag"'):
        version = Identity(5, etag, 1)
        assert version.digest == Identity(5, None, 1).digest
        assert replace(version, updated_ns=2).digest != version.digest
        assert replace(version, size=6).digest != version.digest


def test_a_tag_that_reads_like_a_date_is_no_date() -> None:
    assert Identity(5, "1", 1).digest != Identity(5, None, 1).digest
