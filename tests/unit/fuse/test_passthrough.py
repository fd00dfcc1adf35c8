"""The kernel never meets two ways of reading one inode, whatever opens and closes in whatever order."""

import errno
import random
import threading
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.passthrough import Passthrough
from tests.unit.fuse.served import FakeBackings, FakeKernel

NODES = st.integers(0, 1)
FILE = 50
"""A descriptor."""


@dataclass(eq=False)
class Bytes:
    """One version of the bytes of a resource."""

    is_over: bool = False


@dataclass
class Inode:
    """What fs/fuse/iomode.c keeps of an inode: how many files are open which way."""

    cached: int = 0
    passed: int = 0
    backing: int = 0

    def open(self, number: int) -> None:
        """An open that was answered with the backing id `number`, or without one."""
        assert not (number and self.cached), "EIO: passthrough beside cached opens"
        assert not (self.passed and number != self.backing), "EIO: not the backing file of the inode"
        self.cached, self.passed = self.cached + (not number), self.passed + bool(number)
        self.backing = number

    def close(self, number: int) -> None:
        self.cached, self.passed = self.cached - (not number), self.passed - bool(number)


@dataclass
class Table:
    """Two nodes, their kernel, and the decisions."""

    backings: FakeBackings = field(default_factory=FakeBackings)
    inodes: InodeTable = field(default_factory=lambda: InodeTable(FakeKernel()))

    def __post_init__(self) -> None:
        self.passthrough = Passthrough(self.inodes, self.backings, None)
        self.nodes = [self.inodes.tell(entry(number), 1.0) for number in (1, 2)]
        self.contents = [Bytes(), Bytes()]

    def open(self, which: int, descriptor: int | None) -> Node:
        node = self.nodes[which]
        assert self.passthrough.open(node, self.contents[which], descriptor)
        return node


def entry(number: int) -> Entry:
    return Entry(f"f{number}", Resource(id=number, name=f"f{number}", size=9, updated_ns=1, link=None))


class Opens(RuleBasedStateMachine):
    """Opens and closes; a descriptor is at hand or is not, and the kernel takes it or does not."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
        self.kernel = [Inode(), Inode()]
        self.open_files: list[tuple[int, int]] = []

    @rule(which=NODES, is_found=st.booleans(), is_taken=st.booleans())
    def open(self, which: int, *, is_found: bool, is_taken: bool) -> None:
        self.table.backings.refusal = None if is_taken else errno.ENFILE
        node = self.table.open(which, FILE + which if is_found else None)
        if node.backing:
            assert self.table.backings.open[node.backing] == FILE + which
        self.kernel[which].open(node.backing)
        self.open_files.append((which, node.backing))

    @rule(at=st.integers(0, 20))
    def close(self, at: int) -> None:
        if self.open_files:
            which, number = self.open_files.pop(at % len(self.open_files))
            self.kernel[which].close(number)  # before the RELEASE, as the kernel does
            self.table.passthrough.close(self.table.nodes[which])

    @rule(which=NODES)
    def open_another_version(self, which: int) -> None:
        node = self.table.nodes[which]
        if node.content is not None:
            assert not self.table.passthrough.open(node, Bytes(), FILE)

    @invariant()
    def numbers_are_given_back(self) -> None:
        in_use = {number for _, number in self.open_files if number}
        assert self.table.backings.open.keys() == in_use
        passed = [number for _, number in self.open_files if number]
        assert self.table.passthrough.report()["open"] == len(passed)


Opens.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestOpens = Opens.TestCase


def test_several_threads() -> None:
    """Decisions and counts fit each other, although opens of many threads meet."""
    table, kernel, lock, failed = Table(), Inode(), threading.Lock(), []
    turns = count()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            while next(turns) < 4000:
                node = table.open(0, FILE if chance.random() < 0.5 else None)
                number = node.backing  # stays so while this handle is open
                with lock:
                    kernel.open(number)
                with lock:
                    kernel.close(number)
                table.passthrough.close(node)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not failed
    assert not table.backings.open
    assert table.passthrough.report()["open"] == 0
    assert table.passthrough.report()["opened"] > 0


def test_who_opens_first_decides() -> None:
    table = Table()
    assert table.open(0, None).backing == 0
    assert table.open(0, FILE).backing == 0
    for _ in range(2):
        table.passthrough.close(table.nodes[0])
    first = table.open(0, FILE).backing
    assert table.open(0, None).backing == first > 0
    assert not table.passthrough.is_to_be_decided(table.nodes[0])
    assert table.passthrough.is_to_be_decided(table.nodes[1])


def test_its_bytes_count_as_given() -> None:
    """Nobody tells us of the reads: such a node never becomes another version while it is open."""
    table = Table()
    assert table.open(0, FILE).is_given
    assert not table.open(1, None).is_given


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EPERM, "the kernel does not allow it here"),
        (errno.ELOOP, "the file system of the cache is stacked"),
        (errno.EMFILE, None),
        (errno.ENOMEM, None),
    ],
)
def test_a_refusal(number: int, reason: str | None) -> None:
    """The file is opened as without passthrough; what will not change is not tried again, and is told."""
    table = Table()
    table.backings.refusal = number
    assert table.open(0, FILE).backing == 0
    assert (table.passthrough.reason or "").startswith(reason or "")
    assert table.passthrough.is_to_be_decided(table.nodes[1]) == (reason is None)


def test_a_kernel_without_it() -> None:
    passthrough = Passthrough(InodeTable(FakeKernel()), FakeBackings(has_passthrough=False), None)
    assert passthrough.reason == "the kernel does not have it"
