from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from empirical_fs.page_cache import CacheMode, PageCache

PATHS = st.sampled_from(["a", "b"])
PAGES = st.integers(0, 2)
OpenHandle = tuple[str, int, CacheMode]
"""(path, version, mode)."""


class Kernel(RuleBasedStateMachine):
    """A kernel that keeps pages by path: a handle without direct_io reads what is there, or fills it in."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.cache = PageCache()
        self.pages: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.latest: defaultdict[str, int] = defaultdict(int)
        self.open_versions: defaultdict[str, list[int]] = defaultdict(list)

    @rule(path=PATHS)
    def replace(self, path: str) -> None:
        """The content becomes another version."""
        self.latest[path] += 1

    @rule(path=PATHS)
    def forget(self, path: str) -> None:
        """The kernel drops pages whenever it likes."""
        self.pages[path].clear()

    @rule(target=handles, path=PATHS, age=st.integers(0, 1))
    def open(self, path: str, age: int) -> OpenHandle:
        """A handle on the newest version, or on one that a race made old already."""
        version = max(self.latest[path] - age, 0)
        mode = self.cache.open(path, version)
        if mode is CacheMode.DROP:
            assert not self.open_versions[path], "pages in use are dropped"
            self.pages[path].clear()
        if mode is not CacheMode.BYPASS:
            self.open_versions[path].append(version)
        return path, version, mode

    @rule(handle=handles, page=PAGES)
    def read(self, handle: OpenHandle, page: int) -> None:
        """A handle sees only its own version, whether the page was there or not."""
        path, version, mode = handle
        if mode is not CacheMode.BYPASS:
            assert self.pages[path].setdefault(page, version) == version

    @rule(handle=consumes(handles))
    def release(self, handle: OpenHandle) -> None:
        path, version, mode = handle
        self.cache.release(path, mode)
        if mode is not CacheMode.BYPASS:
            self.open_versions[path].remove(version)

    @invariant()
    def pages_are_of_one_version(self) -> None:
        for pages in self.pages.values():
            assert len(set(pages.values())) <= 1


TestKernel = Kernel.TestCase
TestKernel.settings = settings(max_examples=100, stateful_step_count=30)


def test_pages_are_kept_between_opens() -> None:
    """An unchanged version keeps its pages from open to open."""
    cache = PageCache()
    assert cache.open("a", "v1") is CacheMode.DROP
    assert cache.open("a", "v1") is CacheMode.KEEP
    cache.release("a", CacheMode.DROP)
    cache.release("a", CacheMode.KEEP)
    assert cache.open("a", "v1") is CacheMode.KEEP


def test_pages_of_a_new_version() -> None:
    """A new version drops the old pages if nobody uses them, and leaves them alone while somebody does."""
    cache = PageCache()
    assert cache.open("a", "v1") is CacheMode.DROP
    assert cache.open("a", "v2") is CacheMode.BYPASS
    cache.release("a", CacheMode.BYPASS)
    assert cache.open("a", "v2") is CacheMode.BYPASS
    cache.release("a", CacheMode.DROP)
    assert cache.open("a", "v2") is CacheMode.DROP
    assert cache.open("b", "v2") is CacheMode.DROP
