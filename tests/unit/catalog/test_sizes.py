"""Sizes that the API does not give are asked for once, and again only where they may have changed."""

from functools import partial

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.sizes import Sizes
from empirical_fs.errors import StoreUnavailable


def resource(
    identity: int, size: int | None = None, updated_ns: int = 0, link: str | None = None
) -> Resource:
    return Resource(id=identity, name="a", size=size, updated_ns=updated_ns, link=link)


class Store:
    """Says how large things are, and counts how often it is asked."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = {int(name.removeprefix("of")): size for name, size in sizes.items()}
        self.asked: list[int] = []
        self.is_new = False

    def __call__(self, asked: Resource) -> tuple[int, bool]:
        self.asked.append(asked.id)
        if asked.id not in self.sizes:
            raise StoreUnavailable("busy")
        return self.sizes[asked.id], self.is_new


NEVER = float("-inf")


def test_a_size_is_known_once_it_was_found() -> None:
    """A size is known for the version that was asked for, until it is forgotten."""
    store = Store(of1=7)
    sizes = Sizes(store)
    assert sizes.is_due(resource(1), 0, NEVER)
    assert sizes.find(resource(1)) == 7
    assert not sizes.is_due(resource(1), float("inf"), NEVER)
    assert sizes.known(resource(1)).size == 7
    assert sizes.known(resource(1, updated_ns=1)).size is None
    sizes.forget(resource(1))
    assert sizes.is_due(resource(1), 0, NEVER)
    assert sizes.known(resource(1)).size is None


@pytest.mark.parametrize("found", [0, 7])
def test_a_listed_size_of_nothing(found: int) -> None:
    """A size of 0 is the store's to confirm, or to correct."""
    sizes = Sizes(Store(of1=found))
    assert sizes.known(resource(1, 0)).size == 0
    assert sizes.find(resource(1, 0)) == found
    assert sizes.known(resource(1, 0)).size == found
    assert not sizes.is_due(sizes.known(resource(1, 0)), 0, NEVER)


@pytest.mark.parametrize("other", [resource(1, 9), resource(1, link="https://x/")])
def test_what_has_a_size_is_not_asked_for(other: Resource) -> None:
    """A listed size, and a link, need no store."""
    assert not Sizes(Store()).is_due(other, 0, NEVER)


def test_a_young_version_is_asked_for_after_each_listing() -> None:
    """The store may have said how large the object before was: it is asked again after a new listing."""
    now, store = 10.0, Store(of1=7)
    sizes = Sizes(store, lambda: now)
    sizes.find(resource(1))
    assert not sizes.is_due(resource(1, 7), listed_at=9, young_until=70)
    assert sizes.is_due(resource(1, 7), listed_at=11, young_until=70)
    now, store.sizes[1] = 80, 9
    sizes.find(resource(1, 7))
    assert sizes.known(resource(1, 7)).size == 9
    assert not sizes.is_due(resource(1, 9), listed_at=90, young_until=70)


def test_the_size_of_an_object_that_is_new() -> None:
    """The size of an object that is not older than the listing says is final."""
    store = Store(of1=7)
    store.is_new = True
    sizes = Sizes(store, lambda: 10)
    sizes.find(resource(1))
    assert not sizes.is_due(resource(1, 7), listed_at=11, young_until=70)


@pytest.mark.warns("the size of resource 2 is not known yet: busy")
def test_all_of_a_listing() -> None:
    """Sizes that the API does not give are found as far as they can be, and no others."""
    store = Store(of1=7)
    listed = [resource(1), resource(2), resource(3, 9), resource(4, link="https://x/"), resource(5, 0)]
    sizes, told = Sizes(store), list[int]()
    _, unknown = sizes.listed({each.id: each for each in listed})
    sizes.expect(unknown)
    for each in listed:
        sizes.when_asked_for(each, partial(told.append, each.id))
    assert told == [3, 4, 5], "of the others it is about to ask"
    assert sizes.find_all(unknown, lambda: None)
    assert sorted(told) == [1, 2, 3, 4, 5]
    sized, unknown = sizes.listed({each.id: each for each in listed})
    assert [each.size for each in sized.values()] == [7, None, 9, None, 0]
    assert unknown == [resource(2)]
    assert sorted(store.asked) == [1, 2]


def test_sizes_that_nobody_can_ask_for() -> None:
    """Who waits for a size that is not asked for after all waits no longer."""
    sizes, told = Sizes(Store(of1=7)), list[int]()
    _, unknown = sizes.listed({1: resource(1)})
    sizes.expect(unknown)
    sizes.when_asked_for(resource(1), partial(told.append, 1))
    sizes.find_none(unknown)
    assert told == [1]


def test_what_is_listed_no_more_is_forgotten() -> None:
    """Sizes of versions that are gone take no memory."""
    sizes = Sizes(Store(of1=7, of2=8))
    for listed in (resource(1), resource(2)):
        sizes.find(listed)
    sizes.listed({1: resource(1, 5), 2: resource(2, 6, updated_ns=1)})
    assert sizes.known(resource(1)).size is None
    assert sizes.known(resource(2)).size is None
