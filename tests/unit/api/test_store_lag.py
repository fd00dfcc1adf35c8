"""The store is asked for a version again as long as it may still have the object before."""

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import LAG_SECONDS, StoreLag, young

NOW = 1000.0
EPOCH = 1_800_000_000.0


def resource(identity: int, updated: float = 0.0, size: int = 5) -> Resource:
    return Resource(id=identity, name="a", size=size, updated_ns=int(updated * 10**9), link=None)


def listing(*resources: Resource) -> dict[int, Resource]:
    return {each.id: each for each in resources}


def test_a_settled_version_is_never_asked_for_again() -> None:
    """The first answer for a version that is not young is final."""
    lag = StoreLag()
    lag.answered(NOW, is_another=False)
    assert not lag.is_to_be_asked(NOW + 1000, NOW + 10)


def test_a_young_version_is_asked_for_once_a_listing() -> None:
    """A young version is asked for again after each new listing, until the store can lag no more."""
    lag = StoreLag(young_until=NOW + 60)
    assert not lag.is_to_be_asked(NOW, NOW + 10)
    lag.answered(NOW, is_another=False)
    assert not lag.is_to_be_asked(NOW - 1, NOW + 10)
    assert lag.is_to_be_asked(NOW + 1, NOW + 10)
    lag.answered(NOW + 2, is_another=False)
    assert not lag.is_to_be_asked(NOW + 1, NOW + 10)
    assert lag.is_to_be_asked(NOW + 100, NOW + 10)
    lag.answered(NOW + 101, is_another=False)
    assert not lag.is_to_be_asked(NOW + 200, NOW + 10)


def test_who_does_not_answer_is_not_asked_at_once_again() -> None:
    """While the store is being asked, and a little longer if it does not answer, nobody else asks it."""
    lag = StoreLag(young_until=NOW + 60)
    lag.answered(NOW, is_another=False)
    lag.put_off(NOW + 1)
    assert not lag.is_to_be_asked(NOW + 1, NOW + 5)
    assert lag.is_to_be_asked(NOW + 1, NOW + 7)


def test_another_object_is_final() -> None:
    """A young version of which the store has another object than before has arrived."""
    lag = StoreLag(young_until=NOW + 60)
    lag.answered(NOW, is_another=True)
    assert not lag.is_to_be_asked(NOW + 1, NOW + 10)


@pytest.mark.parametrize(
    ("age", "left"), [(-5, LAG_SECONDS), (0, LAG_SECONDS), (20, LAG_SECONDS - 20), (LAG_SECONDS, None)]
)
def test_the_first_listing(age: float, left: float | None) -> None:
    """In the first listing a resource is young by its date, on the server's clock."""
    found = young(listing(resource(1, EPOCH - age)), None, {}, NOW, EPOCH)
    assert found == ({} if left is None else {1: NOW + left})


def test_later_listings() -> None:
    """Later on, what a listing has changed is young; a new file has no older object."""
    before = listing(resource(1), resource(2), resource(3), resource(5))
    after = listing(resource(1), resource(2, 7), resource(3, size=6), resource(4, EPOCH))
    found = young(after, before, {1: NOW - 1, 5: NOW + 9}, NOW, EPOCH)
    assert found == {2: NOW + LAG_SECONDS, 3: NOW + LAG_SECONDS}
    assert young(after, after, found, NOW + 5, EPOCH) == found
    assert young(after, after, found, NOW + LAG_SECONDS, EPOCH) == {}
