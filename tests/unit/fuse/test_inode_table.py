"""The kernel is told what changed of the inodes that it knows, and of nothing else."""

import pytest
from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.nodes import ROOT_NUMBER
from tests.support.listed import said

SECONDS = 6.0


def resource(identity: int, name: str, version: int = 0) -> Resource:
    return Resource(id=identity, name=name, size=1, updated_ns=version, link=None)


def snapshot(*resources: Resource) -> Snapshot:
    return Snapshot({each.id: each for each in resources})


class World:
    """A directory of the files `a` and `b`, and a kernel that notes what it is told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.said: list[tuple[str, str | int]] = []
        self.drops_pages = True
        self.inodes = InodeTable(self, lambda: self.seconds)
        self.listed = snapshot(resource(1, "a"), resource(2, "b"))

    def drop_entry(self, name: str) -> None:
        self.said.append(("entry", name))

    def drop_attributes(self, number: int) -> None:
        self.said.append(("attributes", number))

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        self.said.append(("pages", number) if not size else (f"pages {start} {size}", number))
        return self.drops_pages

    def change(self, *resources: Resource) -> None:
        older, self.listed = self.listed, snapshot(*resources)
        self.inodes.changed(self.listed.changed_since(older), older, self.listed)

    def entry(self, name: str) -> Entry:
        return self.listed.by_name[name]


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_kernel_has_attributes_of(world: World) -> None:
    """It has them for as long as it was told, of that version, unless it forgets or drops them."""
    entry = world.entry("a")
    assert not world.inodes.has_attributes(entry)
    node = world.inodes.tell(entry, SECONDS)
    assert world.inodes.has_attributes(entry)
    assert not world.inodes.has_attributes(replace(entry, resource=resource(1, "a", 1)))
    world.seconds += SECONDS
    assert not world.inodes.has_attributes(entry)
    assert world.inodes.tell(entry, SECONDS) is node
    world.inodes.forget(node.number, 1)
    assert not world.inodes.has_attributes(entry)
    world.inodes.tell(entry, SECONDS)
    world.change(resource(1, "c"), resource(2, "b"))
    assert not world.inodes.has_attributes(world.entry("c"))


def test_what_changed_is_told(world: World) -> None:
    """Its names, the inodes that the kernel has of it, and the root; nothing of what has not changed."""
    first, second = (world.inodes.tell(world.entry(name), SECONDS) for name in "ab")
    world.change(resource(1, "a", 1), resource(2, "b"))
    assert world.said == [("entry", "a"), ("attributes", first.number), ("attributes", ROOT_NUMBER)]
    newer = world.inodes.tell(world.entry("a"), SECONDS)
    assert newer is not first
    world.said.clear()
    world.inodes.forget(second.number, 1)
    world.change(resource(1, "a", 1))
    assert world.said == [("entry", "b"), ("attributes", ROOT_NUMBER)]
    assert world.inodes.find(second.number) is None
    assert world.inodes.find(first.number) is first


def test_a_description_that_changed(world: World) -> None:
    """The name stays with who has it open; the directory alone is told to have changed."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    described = replace(resource(1, "a"), said=said(description="new"))
    world.change(described, resource(2, "b"))
    assert world.said == [("attributes", ROOT_NUMBER)]
    assert world.inodes.has_attributes(world.entry("a"))
    assert node.entry.resource == described, "that is what it shows when the resource is gone"
    assert world.inodes.tell(world.entry("a"), SECONDS) is node


def test_names_that_are_swapped(world: World) -> None:
    """Both names and both inodes are told, and the inodes stay."""
    nodes = {name: world.inodes.tell(world.entry(name), SECONDS) for name in "ab"}
    world.change(resource(1, "b"), resource(2, "a"))
    assert {what for what in world.said if what[0] == "entry"} == {("entry", "a"), ("entry", "b")}
    assert world.inodes.tell(world.entry("a"), SECONDS) is nodes["b"]
    assert world.inodes.tell(world.entry("b"), SECONDS) is nodes["a"]


def test_an_inode_that_is_found_by_its_number(world: World) -> None:
    """It becomes what its resource is now, once its pages are dropped; not while it is open."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    world.change(resource(1, "a", 1), resource(2, "b"))
    now = world.entry("a")
    assert world.inodes.open(node, None)
    node.is_given = True
    world.inodes.renew(node, now)
    assert node.is_superseded_by(now)
    assert ("pages", node.number) not in world.said, "who reads holds some of them"
    world.inodes.release(node)
    world.drops_pages = False
    world.inodes.renew(node, now)
    assert node.is_superseded_by(now)
    world.drops_pages = True
    world.inodes.renew(node, now)
    assert node.entry == now
    assert ("pages", node.number) in world.said


def test_an_open_inode_of_which_nobody_had_bytes(world: World) -> None:
    """It becomes what its resource is now; its attributes alone are dropped, since it has no pages."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    assert world.inodes.open(node, None)
    world.change(resource(1, "a", 1), resource(2, "b"))
    world.said.clear()
    world.inodes.renew(node, world.entry("a"))
    assert node.entry == world.entry("a")
    assert world.said == [("attributes", node.number)]
    world.change(resource(1, "a", 2), resource(2, "b"))
    world.said.clear()
    assert world.inodes.renew_told(node, world.entry("a"))
    assert node.entry == world.entry("a")
    node.is_given = True
    world.change(resource(1, "a", 3), resource(2, "b"))
    assert not world.inodes.renew_told(node, world.entry("a"))


def test_a_file_handle_of_an_inode_that_the_kernel_forgot(world: World) -> None:
    """It leads to what the resource is now: the kernel has no pages of it."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    now = replace(world.entry("a"), resource=resource(1, "a", 1))
    assert world.inodes.tell_again(node, SECONDS, now) != now
    world.inodes.forget(node.number, 2)
    assert world.inodes.tell_again(node, SECONDS, now) == now
    assert node.lookups == 1


def test_an_answer_that_was_not_taken(world: World) -> None:
    """It counts as no lookup."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    world.inodes.take_back(node)
    assert not node.is_used


def test_pages_of_reads_that_failed_are_dropped(world: World) -> None:
    """Once, and no more than lie between the first and the last of them."""
    node = world.inodes.tell(world.entry("a"), SECONDS)
    world.inodes.drop_failed(node)
    node.note_failed(8192, 8192)
    world.inodes.drop_failed(node)
    assert world.said == []
    node.note_failed(8192, 12_288)
    node.note_failed(4096, 8192)
    world.inodes.drop_failed(node)
    world.inodes.drop_failed(node)
    assert world.said == [("pages 4096 8192", node.number)]
