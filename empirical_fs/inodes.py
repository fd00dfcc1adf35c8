"""Which inode of the kernel each open version of a file has: pure policy, so that no two are mixed.

The kernel keeps one size and one page cache for each inode, and libfuse's high-level API makes one inode
for each path, whatever the path means by now. So while a version is open, its path shows that version; when
the path means another, the inode is moved to a path that no program can name, and the next lookup makes a
new inode. While no handle is open, a path and its inode may pass from version to version: a handle that is
opened with `keep_cache` finds the pages that are there, one without drops them first.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import count

from empirical_fs.catalog import Entry

_RETIRED = "retired/"


@dataclass(eq=False, slots=True)
class Inode:
    """The inode at a path, and the version that the kernel may hold pages of."""

    path: str
    entry: Entry
    version: Hashable
    handles: int = 0


def is_retired(path: str) -> bool:
    """Whether an inode was retired to `path`, and may have been closed since."""
    return path.startswith(_RETIRED)


class Inodes:
    """The inodes by their paths. Not safe between threads; its owner serialises."""

    def __init__(self) -> None:
        """Begin with no pages in the kernel."""
        self._by_path: dict[str, Inode] = {}
        self._numbers = count(1)

    def in_use(self, path: str) -> Inode | None:
        """The inode at `path` if a handle is open on it."""
        inode = self._by_path.get(path)
        return inode if inode is not None and inode.handles else None

    def open(self, path: str, entry: Entry, version: Hashable) -> tuple[Inode, bool] | None:
        """Open a handle on `version` of the content at `path`: its inode, and whether pages may be kept.

        None if a handle is open there on another version, or the inode is retired: such a path must be
        looked up again, the former once its inode has moved.
        """
        inode = self._by_path.get(path)
        keeps = inode is not None and inode.version == version
        if is_retired(path) or (inode is not None and inode.handles and not keeps):
            return None
        if inode is None or not keeps:
            inode = self._by_path[path] = Inode(path, entry, version)
        inode.entry = entry
        inode.handles += 1
        return inode, keeps

    def release(self, inode: Inode) -> None:
        """A handle on `inode` is closed."""
        inode.handles -= 1
        if is_retired(inode.path) and not inode.handles:
            del self._by_path[inode.path]

    def path_to_retire_to(self) -> str:
        """A path for an inode, which is given out once and which no program can name: there is no folder."""
        return f"{_RETIRED}{next(self._numbers)}"

    def move(self, path: str, retired: str) -> None:
        """The inode at `path` is at `retired` from now on."""
        inode = self._by_path.pop(path, None)
        if inode is not None and inode.handles:
            inode.path = retired
            self._by_path[retired] = inode
