import pytest

from empirical_fs.errors import StoreUnavailable
from empirical_fs.resource import Resource
from empirical_fs.sizes import Sizes


def resource(
    identity: int, size: int | None = None, updated_ns: int = 0, link: str | None = None
) -> Resource:
    return Resource(id=identity, name="a", url=None, size=size, updated_ns=updated_ns, link=link)


class Store:
    """Says how large things are, and counts how often it is asked."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = {int(name.removeprefix("of")): size for name, size in sizes.items()}
        self.asked: list[int] = []

    def __call__(self, asked: Resource) -> int:
        self.asked.append(asked.id)
        if asked.id not in self.sizes:
            raise StoreUnavailable("busy")
        return self.sizes[asked.id]


def test_a_size_is_found_once() -> None:
    """The store is asked once for each version."""
    store = Store(of1=7)
    sizes = Sizes(store)
    assert not sizes.has(resource(1))
    assert [sizes.find(resource(1)).size for _ in range(2)] == [7, 7]
    assert sizes.known(resource(1)).size == 7
    assert sizes.known(resource(1, updated_ns=1)).size is None
    assert store.asked == [1]
    sizes.forget(resource(1))
    assert sizes.find(resource(1)).size == 7
    assert store.asked == [1, 1]


@pytest.mark.parametrize("found", [0, 7])
def test_a_listed_size_of_nothing(found: int) -> None:
    """A size of 0 is the store's to confirm, or to correct."""
    sizes = Sizes(Store(of1=found))
    assert sizes.known(resource(1, 0)).size == 0
    assert sizes.find(resource(1, 0)).size == found
    assert sizes.has(resource(1, 0))
    assert sizes.known(resource(1, 0)).size == found


def test_all_of_a_listing() -> None:
    """Sizes that the API does not give are found as far as they can be, and no others."""
    store = Store(of1=7)
    listed = [resource(1), resource(2), resource(3, 9), resource(4, link="https://x/"), resource(5, 0)]
    sized = Sizes(store).find_all({each.id: each for each in listed})
    assert [each.size for each in sized.values()] == [7, None, 9, None, 0]
    assert sorted(store.asked) == [1, 2]


def test_what_is_listed_no_more_is_forgotten() -> None:
    """Sizes of versions that are gone take no memory."""
    sizes = Sizes(Store(of1=7, of2=8))
    for listed in (resource(1), resource(2)):
        sizes.find(listed)
    sizes.find_all({1: resource(1, updated_ns=1)})
    assert not sizes.has(resource(1))
    assert not sizes.has(resource(2))
    assert sizes.has(resource(1, updated_ns=1))
