import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest

from empirical_fs.catalog import Catalog
from empirical_fs.directory import Directory
from empirical_fs.listing import Listing
from empirical_fs.resource import Resource
from empirical_fs.retirement import Retirement

PATIENCE = 10.0
KEPT = 6.0
"""Seconds that the kernel keeps attributes."""


class World:
    """A project of the files `a`, `b` and `c`, a kernel, and what lists the one for the other."""

    def __init__(self) -> None:
        self.resources = {name: self.resource(number, name) for number, name in enumerate("abc")}
        self.forgotten: list[str] = []
        self.seconds = 0.0
        self.retirement = Retirement(self)
        self.catalog = Catalog(self.fetch, lambda _: 0, 1000, self.retirement.changed)
        self.catalog.load(self.fetch)
        self.directory = Directory(self.catalog, self.retirement, KEPT, lambda: self.seconds)

    @staticmethod
    def resource(number: int, name: str) -> Resource:
        return Resource(id=number, name=name, url=None, size=1, updated_ns=0, link=None)

    def fetch(self) -> Listing:
        return Listing(tuple(self.resources.values()), ())

    def change(self, name: str) -> None:
        """A new version of a file comes with a new listing."""
        self.resources[name] = replace(self.resources[name], updated_ns=self.resources[name].updated_ns + 1)
        self.catalog.reload(PATIENCE)

    def move(self, name: str, path: str) -> None:
        assert self.retirement.accept(name, path)

    def forget(self, names: Iterable[str]) -> None:
        self.forgotten += names

    def caller(self) -> int:
        return 1

    def told(self, listing: int, offset: int = 0, first: int = 0) -> list[str]:
        """The files of which the kernel is told the attributes."""
        found = list(self.directory.entries_to_tell(listing, offset, first))
        assert [entry.name for entry, _ in found] == sorted(self.resources)[first:]
        return [entry.name for entry, is_told in found if is_told]


@pytest.fixture
def world() -> World:
    return World()


def versions(world: World, listing: int, offset: int) -> list[int]:
    return [entry.resource.updated_ns for entry in world.directory.entries(listing, offset)]


def test_a_listing_goes_on_as_it_began(world: World) -> None:
    """What changes meanwhile is in the next one, and in this one when it begins anew."""
    listing = world.directory.open()
    assert versions(world, listing, 0) == [0, 0, 0]
    world.change("b")
    assert versions(world, listing, 2) == [0, 0, 0]
    assert versions(world, world.directory.open(), 0) == [0, 1, 0]
    assert versions(world, listing, 0) == [0, 1, 0]


def test_attributes_are_told_while_the_kernel_has_none(world: World) -> None:
    """With each file once, and again when the kernel has dropped them."""
    listing = world.directory.open()
    assert world.told(listing) == ["a", "b", "c"]
    world.seconds += KEPT - 1
    assert world.told(listing) == world.told(world.directory.open()) == []
    world.seconds += 1
    assert world.told(listing) == ["a", "b", "c"]


def test_what_had_no_room(world: World) -> None:
    """A file that was not taken is told of with the next piece."""
    listing = world.directory.open()
    piece = world.directory.entries_to_tell(listing, 0, 0)
    assert [next(piece)[0].name, next(piece)[0].name] == ["a", "b"]
    del piece
    assert world.told(listing, 3, 1) == ["b", "c"]


def test_a_listing_from_before_a_change_tells_nothing(world: World) -> None:
    """Lookups tell what is so by now."""
    listing = world.directory.open()
    world.directory.entries(listing, 0)
    world.change("b")
    assert world.told(listing, 2) == []


def test_nothing_is_told_of_an_inode_that_is_something_else(world: World) -> None:
    """The kernel may know a name as another version than the listing, or an inode may have moved just now."""
    newer = replace(world.catalog.latest.by_name["b"], resource=replace(world.resources["b"], updated_ns=9))
    world.retirement.tell("b", newer)
    assert world.told(world.directory.open()) == ["a", "c"]
    world.change("a")
    assert world.told(world.directory.open()) == []


def test_nothing_is_told_of_a_file_without_a_size(world: World) -> None:
    """The next lookup may find it."""
    world.resources["a"] = replace(world.resources["a"], size=None)
    world.catalog.load(world.fetch)
    sized = {entry.name for entry in world.directory.entries(world.directory.open(), 0) if entry.is_sized}
    assert set(world.told(world.directory.open())) == sized


def test_what_changed_meanwhile_is_told_at_the_end(world: World) -> None:
    """The attributes of a listing may reach the kernel after the news of a change."""
    listing, other = world.directory.open(), world.directory.open()
    world.told(listing)
    world.change("b")
    world.forgotten.clear()
    world.directory.close(other)
    world.directory.close(listing)
    for thread in threading.enumerate():
        if thread.name == "listed":
            thread.join(PATIENCE)
    assert world.forgotten == ["b"]
    world.directory.close(listing)
    assert world.forgotten == ["b"]
