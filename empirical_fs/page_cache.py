"""Which handles may use the kernel's page cache: pure policy, so that it never mixes two versions.

The kernel keeps one page cache per inode, and libfuse's high-level API has one inode per path: it stays
the same when the content is replaced, and when the name passes to another resource. A handle that is
opened with `keep_cache` finds the pages that are there; one without drops them first; one with
`direct_io` neither sees nor leaves any.
"""

from collections import Counter
from collections.abc import Hashable
from enum import Enum, auto


class CacheMode(Enum):
    """How a handle is opened towards the kernel."""

    KEEP = auto()
    """Pages of this very version may be there: use them."""
    DROP = auto()
    """Pages of an older version may be there: drop them and begin anew."""
    BYPASS = auto()
    """Pages of another version are in use by an open handle: leave them alone, and use none."""


class PageCache:
    """What the kernel may hold pages of, by path. Not safe between threads; its owner serialises."""

    def __init__(self) -> None:
        """Begin with no pages."""
        self._versions: dict[str, Hashable] = {}
        self._users: Counter[str] = Counter()

    def open(self, path: str, version: Hashable) -> CacheMode:
        """How to open a handle on `version` of the content at `path`."""
        if self._versions.get(path) == version:
            self._users[path] += 1
            return CacheMode.KEEP
        if self._users[path]:
            return CacheMode.BYPASS
        self._versions[path] = version
        self._users[path] += 1
        return CacheMode.DROP

    def release(self, path: str, mode: CacheMode) -> None:
        """Take note that a handle on `path` that was opened with `mode` is closed."""
        if mode is not CacheMode.BYPASS:
            self._users[path] -= 1
