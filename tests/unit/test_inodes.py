from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from empirical_fs.inodes import Inode, Inodes
from empirical_fs.resource import Resource
from empirical_fs.snapshot import Entry

PATHS = st.sampled_from(["a", "b"])
PAGES = st.integers(0, 2)
OpenHandle = tuple[Inode, int]
"""(inode, version)."""


def entry(name: str, version: int = 0) -> Entry:
    return Entry(name, Resource(id=1, name=name, url=None, size=1, updated_ns=version, link=None))


class Kernel(RuleBasedStateMachine):
    """A kernel that keeps attributes and pages by inode: a handle reads what is there, or fills it in."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.inodes = Inodes()
        self.at: dict[str, int] = {}
        self.made = 0
        self.told: defaultdict[int, set[int]] = defaultdict(set)
        self.pages: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self.open_versions: defaultdict[int, list[int]] = defaultdict(list)
        self.of_inode: dict[Inode, int] = {}
        self.latest: defaultdict[str, int] = defaultdict(int)

    def look_up(self, path: str) -> int:
        if path not in self.at:
            self.made += 1
            self.at[path] = self.made
        return self.at[path]

    def tell(self, path: str, version: int) -> int:
        return self.inodes.tell(path, entry(path, version)).resource.updated_ns

    def version(self, path: str, age: int) -> int:
        return max(self.latest[path] - age, 0)

    @rule(path=PATHS)
    def replace(self, path: str) -> None:
        """The content becomes another version."""
        self.latest[path] += 1

    @rule(path=PATHS)
    def forget(self, path: str) -> None:
        """The kernel drops pages whenever it likes."""
        self.pages[self.look_up(path)].clear()

    @rule(path=PATHS)
    def retire(self, path: str) -> None:
        """The inode moves away, and the next lookup makes another."""
        self.inodes.move(path, self.inodes.path_to_retire_to())
        self.at.pop(path, None)

    @rule(path=PATHS, age=st.integers(0, 1))
    def stat(self, path: str, age: int) -> None:
        """The kernel hears of the newest version, or of one that a race made old already."""
        version = self.version(path, age)
        self.told[self.look_up(path)].add(self.tell(path, version))

    @rule(target=handles, path=PATHS, age=st.integers(0, 1))
    def open(self, path: str, age: int) -> OpenHandle:
        """A handle on the newest version, or on one that a race made old already."""
        version = self.version(path, age)
        opened = self.inodes.open(path, entry(path, version), version)
        if opened is None:
            self.retire(path)
            self.told[self.look_up(path)].add(self.tell(path, version))
            opened = self.inodes.open(path, entry(path, version), version)
        assert opened is not None
        inode, keeps = opened
        number = self.look_up(path)
        assert self.told[number] == {version}, "whichever answer came last, the size is right"
        if not keeps:
            assert not self.open_versions[number], "pages in use are dropped"
            self.pages[number].clear()
        self.of_inode[inode] = number
        self.open_versions[number].append(version)
        shown = self.inodes.in_use(path)
        assert shown is not None
        assert shown.entry == entry(path, version)
        return inode, version

    @rule(handle=handles, page=PAGES)
    def read(self, handle: OpenHandle, page: int) -> None:
        """A handle sees only its own version, whether the page was there or not."""
        inode, version = handle
        assert self.pages[self.of_inode[inode]].setdefault(page, version) == version

    @rule(handle=consumes(handles))
    def release(self, handle: OpenHandle) -> None:
        inode, version = handle
        self.inodes.release(inode)
        self.open_versions[self.of_inode[inode]].remove(version)

    @invariant()
    def an_inode_is_open_in_one_version(self) -> None:
        for versions in self.open_versions.values():
            assert len(set(versions)) <= 1

    @invariant()
    def one_thing_is_told_of_an_inode(self) -> None:
        for told in self.told.values():
            assert len(told) <= 1


TestKernel = Kernel.TestCase
TestKernel.settings = settings(max_examples=60, stateful_step_count=30)


def test_pages_are_kept_between_opens() -> None:
    """An unchanged version keeps its pages from open to open; a new one drops them if nobody uses them."""
    inodes = Inodes()
    inodes.tell("a", entry("a"))
    first = inodes.open("a", entry("a"), "v1")
    second = inodes.open("a", entry("a"), "v1")
    assert first is not None
    assert second is not None
    assert (first[1], second[1]) == (False, True)
    assert inodes.open("a", entry("a"), "v2") is None
    inodes.release(first[0])
    assert inodes.open("a", entry("a"), "v2") is None
    inodes.release(second[0])
    newer = inodes.open("a", entry("a"), "v2")
    assert newer is not None
    assert not newer[1]


def test_a_retired_inode_is_opened_no_more() -> None:
    """It shows what it was opened for as long as a handle is open on it, and nothing afterwards."""
    inodes = Inodes()
    inodes.tell("a", entry("a"))
    opened = inodes.open("a", entry("a"), "v1")
    assert opened is not None
    retired = inodes.path_to_retire_to()
    inodes.move("a", retired)
    assert inodes.in_use("a") is None
    assert inodes.in_use(retired) is opened[0]
    assert inodes.open(retired, entry("a"), "v1") is None
    inodes.release(opened[0])
    assert inodes.in_use(retired) is None
    assert inodes.was(retired) == entry("a")


def test_what_the_kernel_was_told_first_counts() -> None:
    """An inode is opened only as what the kernel knows it to be."""
    inodes = Inodes()
    assert inodes.open("a", entry("a"), "v1") is None
    assert inodes.tell("a", entry("a")) == entry("a")
    assert inodes.tell("a", entry("a", 1)) == entry("a")
    assert inodes.open("a", entry("a", 1), "v2") is None
    assert inodes.is_superseded("a", entry("a", 1))
    inodes.move("a", inodes.path_to_retire_to())
    assert not inodes.is_superseded("a", entry("a", 1))
    inodes.tell("a", entry("a", 1))
    assert inodes.open("a", entry("a", 1), "v2") is not None
