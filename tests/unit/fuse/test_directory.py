"""A listing goes on as it began, though files come and go, and its places belong to files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from empirical_fs.api.listing import Listing
from empirical_fs.api.resource import Resource
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.directory import AFTER_PARENT, AFTER_SELF, Directory, cookie_after
from empirical_fs.work.progress import unseen

PATIENCE = 10.0
HIGHEST = 2**63 - 2
IDS = st.integers(0, 9) | st.integers(0, HIGHEST) | st.integers(HIGHEST - 4, HIGHEST)


class World:
    """A project, and what lists it."""

    def __init__(self, *identities: int) -> None:
        self.resources = {identity: self.resource(identity) for identity in identities}
        self.catalog = Catalog(self.fetch, lambda _: (0, True), 1000, lambda *_: None)
        self.catalog.load(self.fetch, unseen)
        self.directory = Directory(self.catalog)

    @staticmethod
    def resource(identity: int) -> Resource:
        return Resource(id=identity, name=f"{-identity}", size=1, updated_ns=0, link=None)

    def fetch(self, *_: object) -> Listing:
        return Listing(tuple(self.resources.values()), ())

    def change(self, identity: int) -> None:
        """A new version of a file comes with a new listing."""
        self.resources[identity] = replace(self.resource(identity), updated_ns=1)
        self.catalog.reload().outcome.result(PATIENCE)

    def remove(self, identity: int) -> None:
        del self.resources[identity]
        self.catalog.reload().outcome.result(PATIENCE)

    def versions(self, listing: int, cookie: int) -> list[tuple[int, int]]:
        entries = self.directory.entries(listing, cookie)
        return [(entry.resource.id, entry.resource.updated_ns) for entry in entries]


@pytest.fixture
def world() -> World:
    return World(1, 2, 3)


def test_a_listing_goes_on_as_it_began(world: World) -> None:
    """What changes meanwhile is in the next one, and in this one when it begins anew."""
    listing = world.directory.open()
    assert world.versions(listing, 0) == [(1, 0), (2, 0), (3, 0)]
    assert world.directory.is_latest(listing)
    world.change(2)
    assert world.versions(listing, AFTER_PARENT) == [(1, 0), (2, 0), (3, 0)]
    assert not world.directory.is_latest(listing)
    assert world.versions(world.directory.open(), 0) == [(1, 0), (2, 1), (3, 0)]
    assert world.versions(listing, 0) == [(1, 0), (2, 1), (3, 0)]
    world.directory.close(listing)
    assert not world.directory.is_latest(listing)


@given(st.sets(IDS, max_size=8), st.data())
def test_a_place_belongs_to_a_file(identities: set[int], data: st.DataObject) -> None:
    """Behind it come the files behind that one, in this listing and in any other."""
    world = World(*identities)
    entries = list(world.directory.entries(world.directory.open(), 0))
    assert [entry.resource.id for entry in entries] == sorted(identities)
    for first in (AFTER_SELF, AFTER_PARENT):
        assert list(world.directory.entries(world.directory.open(), first)) == entries
    for position, entry in enumerate(entries):
        cookie = cookie_after(entry)
        assert AFTER_PARENT < cookie < 2**63
        behind = list(world.directory.entries(world.directory.open(), cookie))
        assert behind == (entries[position + 1 :] if entry.resource.id < HIGHEST - 2 else [])


def test_a_place_outlives_its_file(world: World) -> None:
    """A listing that is taken up at a file that is gone goes on with the next one."""
    (place,) = (cookie_after(entry) for entry in world.catalog.latest.in_order if entry.resource.id == 2)
    world.remove(2)
    assert world.versions(world.directory.open(), place) == [(3, 0)]
