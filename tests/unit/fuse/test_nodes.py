"""A version of a resource keeps its inode, no number is used twice, and memory is bounded."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse import nodes as module
from empirical_fs.fuse.nodes import ROOT_NUMBER, Node, Nodes

IDS = st.integers(0, 2)
PAGES = st.integers(0, 2)


@dataclass(eq=False)
class Bytes:
    """One version of the bytes of a resource."""

    is_over: bool = False


def entry(identity: int = 1, version: int = 0, name: str = "a", size: int | None = 1) -> Entry:
    resource = Resource(id=identity, name=name, size=size, updated_ns=version, link=None)
    return Entry(name, resource)


class Handle:
    """An open of an inode, what it reads, and what it has seen."""

    def __init__(self, number: int, content: Bytes) -> None:
        self.number, self.content = number, content
        self.seen: Bytes | None = None


class Kernel(RuleBasedStateMachine):
    """A kernel beside the nodes: it looks names up, keeps pages by number, forgets, and opens by number."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.nodes = Nodes()
        self.listed = {identity: entry(identity) for identity in range(3)}
        self.contents: dict[int, Bytes] = {}
        self.lookups: dict[int, int] = {}
        self.pages: dict[int, dict[int, Bytes]] = {}
        self.numbers: dict[int, int] = {}
        """The resource of every number that was ever told."""
        self.open: list[Handle] = []

    def now(self, identity: int) -> Bytes:
        """The bytes that the store has, by the listing of now."""
        content = self.contents.get(identity)
        if content is None or content.is_over:
            content = self.contents[identity] = Bytes()
        return content

    @rule(identity=IDS)
    def replace(self, identity: int) -> None:
        """The listing shows another version."""
        self.listed[identity] = entry(identity, self.listed[identity].resource.updated_ns + 1)
        self.contents.pop(identity, None)

    @rule(identity=IDS)
    def disagree(self, identity: int) -> None:
        """The store has shown another version, of which the listing knows nothing."""
        if identity in self.contents:
            self.contents[identity].is_over = True

    @rule(identity=IDS, name=st.sampled_from("abc"))
    def rename(self, identity: int, name: str) -> None:
        """A name changes and the content does not."""
        before = self.listed[identity].resource
        self.listed[identity] = entry(identity, before.updated_ns, name)

    @rule(identity=IDS)
    def answer(self, identity: int) -> None:
        node = self.nodes.of(self.listed[identity])
        self.nodes.looked_up(node)
        assert node.number != ROOT_NUMBER
        assert node.entry == self.listed[identity]
        assert self.numbers.setdefault(node.number, identity) == identity, "a number is of one resource"
        self.lookups[node.number] = self.lookups.get(node.number, 0) + 1

    @rule(data=st.data())
    @precondition(lambda self: any(self.lookups.values()))
    def forget(self, data: st.DataObject) -> None:
        """The kernel evicts an inode that nobody has open, and its pages with it."""
        held = sorted(n for n, count in self.lookups.items() if count and not self.handles_on(n))
        if held:
            number = data.draw(st.sampled_from(held))
            self.nodes.forget(number, self.lookups.pop(number))
            self.pages.pop(number, None)

    def handles_on(self, number: int) -> int:
        return sum(each.number == number for each in self.open)

    @rule(target=handles, data=st.data(), caller=st.integers(1, 2), drops=st.booleans())
    @precondition(lambda self: any(self.lookups.values()))
    def open_by_number(self, data: st.DataObject, caller: int, drops: bool) -> "Handle | None":  # noqa: FBT001
        """An open of an inode that the kernel has, whatever its resource is by now."""
        number = data.draw(st.sampled_from(sorted(n for n, count in self.lookups.items() if count)))
        node = self.nodes.find(number)
        assert node is not None
        now = self.listed[self.numbers[number]]
        if node.is_superseded_by(now):
            if self.nodes.send_back(node, caller) or not drops:
                return None
            if not node.handles:
                self.pages.pop(number, None)
            if not self.nodes.renew(node, now):
                assert node.handles
                assert not node.is_to_change_open(now)
                return None
        content = self.now(self.numbers[number])
        if not self.nodes.opened(node, content):
            return None
        handle = Handle(number, content)
        self.open.append(handle)
        return handle

    @rule(handle=handles, page=PAGES)
    def read(self, handle: "Handle | None", page: int) -> None:
        """A handle sees the bytes of one version, whether the page was there or not."""
        if handle in self.open:
            assert handle is not None
            node = self.nodes.find(handle.number)
            assert node is not None
            if node.content is not handle.content:
                if not self.nodes.adopt(node, content := self.now(node.entry.resource.id)):
                    return
                handle.content = content
            node.is_given = True
            content = self.pages.setdefault(handle.number, {}).setdefault(page, handle.content)
            assert content is handle.content
            assert handle.seen in (None, content)
            handle.seen = content

    @rule(handle=consumes(handles))
    def release(self, handle: "Handle | None") -> None:
        if handle in self.open:
            assert handle is not None
            self.open.remove(handle)
            node = self.nodes.find(handle.number)
            assert node is not None
            self.nodes.released(node)

    @invariant()
    def what_is_used_can_be_found(self) -> None:
        for number, count in self.lookups.items():
            node = self.nodes.find(number)
            assert node is not None
            assert (node.lookups, node.handles) == (count, self.handles_on(number))

    @invariant()
    def a_number_is_found_as_long_as_its_resource_is_listed(self) -> None:
        for number, identity in self.numbers.items():
            node = self.nodes.find(number)
            assert node is not None
            assert node.entry.resource.id == identity

    @invariant()
    def an_inode_has_pages_of_one_version(self) -> None:
        for pages in self.pages.values():
            assert len(set(map(id, pages.values()))) <= 1


TestKernel = Kernel.TestCase
TestKernel.settings = settings(max_examples=60, stateful_step_count=40)


def told(nodes: Nodes, what: Entry) -> Node:
    node = nodes.of(what)
    nodes.looked_up(node)
    return node


def test_a_version_keeps_its_number() -> None:
    """Also when the kernel has forgotten it: a file handle has the number."""
    nodes = Nodes()
    first = told(nodes, entry())
    nodes.forget(first.number, 1)
    assert told(nodes, entry(name="renamed")) is first
    assert first.entry.name == "renamed"


def test_numbers_are_never_used_again() -> None:
    """Neither another version nor another resource gets one that was told before."""
    nodes = Nodes()
    numbers = []
    for version in range(5):
        node = told(nodes, entry(version=version))
        numbers.append(node.number)
        nodes.forget(node.number, 1)
        nodes.vanished(1)
    assert len(set(numbers)) == 5


def test_lookups_are_counted() -> None:
    """A node is in use until the kernel has forgotten every lookup, and never below zero."""
    nodes = Nodes()
    node = told(nodes, entry())
    told(nodes, entry())
    nodes.forget(node.number, 1)
    assert node.is_used
    nodes.forget(node.number, 1)
    assert not node.is_used
    nodes.forget(node.number, 5)
    assert node.lookups == 0
    nodes.forget(999, 1)


def test_what_has_vanished_is_found_as_long_as_it_is_used() -> None:
    """A resource that is listed no more leaves nothing behind once the kernel is done with it."""
    nodes = Nodes()
    used, unused = told(nodes, entry()), told(nodes, entry(version=1))
    nodes.forget(unused.number, 1)
    nodes.vanished(1)
    assert nodes.find(unused.number) is None
    assert nodes.find(used.number) is used
    assert nodes.opened(used, None)
    nodes.forget(used.number, 1)
    assert nodes.find(used.number) is used
    nodes.released(used)
    assert nodes.find(used.number) is None
    assert nodes.current(1) is None


def test_a_resource_that_returns() -> None:
    """What the kernel still has of it is what it becomes again, and stays when the kernel is done with it."""
    nodes = Nodes()
    node = told(nodes, entry())
    nodes.vanished(1)
    assert told(nodes, entry()) is node
    nodes.forget(node.number, 2)
    assert nodes.find(node.number) is node


def test_details_of_an_older_node_that_is_the_same_version() -> None:
    """One that was found to be the same with another date keeps the last details when its resource goes."""
    nodes = Nodes()
    older, newer = told(nodes, entry()), told(nodes, entry(version=1))
    older.entry = newer.entry
    nodes.described(entry(name="renamed", version=1))
    assert [each.entry.name for each in (older, newer)] == ["renamed", "renamed"]


def test_a_size_that_is_found_is_told_by_another_node() -> None:
    """What the kernel took for empty becomes another inode; a size that is not known yet makes none."""
    nodes = Nodes()
    unsized = told(nodes, entry(size=None))
    sized = told(nodes, entry(size=5))
    assert sized is not unsized
    assert told(nodes, entry(size=None, name="renamed")) is sized
    assert (sized.entry.name, sized.entry.size) == ("renamed", 5)


def test_an_open_node_is_not_renewed() -> None:
    """Its pages are in use."""
    nodes = Nodes()
    node, content = told(nodes, entry()), Bytes()
    assert nodes.opened(node, content)
    node.is_given = True
    assert not nodes.renew(node, entry(version=1))
    assert not nodes.opened(node, Bytes())
    nodes.released(node)
    assert nodes.renew(node, entry(version=1))
    assert nodes.opened(node, Bytes())


def test_an_open_node_of_which_nobody_had_bytes() -> None:
    """It becomes another version of the same size, which its handles read; no more once bytes were given."""
    nodes = Nodes()
    node, content = told(nodes, entry(size=5)), Bytes()
    assert nodes.opened(node, content)
    assert not nodes.renew(node, entry(version=1, size=6))
    assert not nodes.renew(node, entry(version=1, size=4))
    assert node.content is content
    assert nodes.renew(node, entry(version=1, size=5))
    newer = Bytes()
    assert nodes.adopt(node, newer)
    assert not nodes.adopt(node, content)
    node.is_given = True
    assert not nodes.renew(node, entry(version=2, size=5))
    assert node.content is newer
    nodes.released(node)
    nodes.forget(node.number, 1)
    assert not node.is_given, "the kernel has evicted it, with its pages"


def test_who_comes_again_has_no_name() -> None:
    """An open is refused once to each thread; those who were refused are forgotten with the next success."""
    nodes = Nodes()
    node = told(nodes, entry())
    assert nodes.send_back(node, 1)
    assert nodes.send_back(node, 2)
    assert not nodes.send_back(node, 1)
    assert all(nodes.send_back(node, caller) for caller in range(3, 200))
    assert nodes.opened(node, None)
    assert nodes.send_back(node, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the nodes that the kernel has forgotten the oldest go when there are too many."""
    monkeypatch.setattr(module, "_REMEMBERED_MAX", 3)
    nodes = Nodes()
    numbers = []
    for version in range(10):
        node = told(nodes, entry(version=version))
        numbers.append(node.number)
        nodes.forget(node.number, 1)
    assert [nodes.find(number) is not None for number in numbers] == [False] * 7 + [True] * 3
    for identity in range(2, 6):
        nodes.forget(told(nodes, entry(identity)).number, 1)
    assert nodes.current(1) is None
