"""Which handles may use the kernel's page cache: pure policy, so that it never mixes two versions.

The kernel keeps one page cache per inode, and the inode stays the same when the content is replaced. A
handle that is opened with `keep_cache` finds the pages that are there; one without drops them first; one
with `direct_io` neither sees nor leaves any.
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
    """What the kernel may hold pages of, by inode. Not safe between threads; its owner serialises."""

    def __init__(self) -> None:
        """Begin with no pages."""
        self._versions: dict[int, Hashable] = {}
        self._users: Counter[int] = Counter()

    def open(self, inode: int, version: Hashable) -> CacheMode:
        """How to open a handle on `version` of the content of `inode`."""
        if self._versions.get(inode) == version:
            self._users[inode] += 1
            return CacheMode.KEEP
        if self._users[inode]:
            return CacheMode.BYPASS
        self._versions[inode] = version
        self._users[inode] += 1
        return CacheMode.DROP

    def release(self, inode: int, mode: CacheMode) -> None:
        """Take note that a handle that was opened with `mode` is closed."""
        if mode is not CacheMode.BYPASS:
            self._users[inode] -= 1
