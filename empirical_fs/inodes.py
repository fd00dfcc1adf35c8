"""Which inode of the kernel each open version of a file has: pure policy, so that no two are mixed.

The kernel keeps one size and one page cache for each inode, and libfuse's high-level API makes one inode
for each path, whatever the path means by now. So the kernel is told one thing of an inode from the first to
the last, and the inode is opened only as that; when its path means something else, the inode is moved to a
path that no program can name, and the next lookup makes a new one. Only a content that changed
without a change of the listing may pass to the inode, while no handle is open: a handle that is opened with
`keep_cache` finds the pages that are there, one without drops them first.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import count

from cachetools import LRUCache

from empirical_fs.snapshot import Entry

_RETIRED = "retired/"
_CLOSED_MAX = 1024


@dataclass(eq=False, slots=True)
class Inode:
    """The inode at a path, what the kernel was told of it, and the version that it may hold pages of."""

    path: str
    entry: Entry
    version: Hashable | None = None
    handles: int = 0


def is_retired(path: str) -> bool:
    """Whether an inode was retired to `path`, and may have been closed since."""
    return path.startswith(_RETIRED)


class Inodes:
    """The inodes by their paths. Not safe between threads; its owner serialises."""

    def __init__(self) -> None:
        """Begin with nothing told to the kernel."""
        self._by_path: dict[str, Inode] = {}
        self._closed = LRUCache[str, Entry](_CLOSED_MAX)
        self._numbers = count(1)

    def has(self, path: str) -> bool:
        """Whether the kernel was told anything of the inode at `path`."""
        return path in self._by_path

    def was(self, path: str) -> Entry | None:
        """What a retired inode was that is not open; programs that found it before may still ask."""
        entry: Entry | None = self._closed.get(path)
        return entry

    def in_use(self, path: str) -> Inode | None:
        """The inode at `path` if a handle is open on it."""
        inode = self._by_path.get(path)
        return inode if inode is not None and inode.handles else None

    def tell(self, path: str, now: Entry) -> Entry:
        """What the kernel is to be told of the inode at `path`, which means `now`: what it was told first.

        Of two answers that are under way at once it may keep either (fuse_change_attributes in Linux), and
        an open may be under way as well.
        """
        return self._by_path.setdefault(path, Inode(path, now)).entry

    def is_superseded(self, path: str, now: Entry | None) -> bool:
        """Whether the inode at `path` is something else than what the path means now."""
        inode = self._by_path.get(path)
        return inode is not None and inode.entry.is_superseded_by(now)

    def open(self, path: str, entry: Entry, version: Hashable) -> tuple[Inode, bool] | None:
        """Open a handle on `version` of `entry` at `path`: its inode, and whether pages may be kept.

        None if the kernel was told nothing or something else of `path`, if a handle is open there on another
        version, or if the inode is retired: such a path must be looked up again, once its inode has moved.
        """
        inode = self._by_path.get(path)
        if inode is None or is_retired(path) or inode.entry.is_superseded_by(entry):
            return None
        keeps = inode.version == version
        if inode.handles and not keeps:
            return None
        if not keeps:
            inode = self._by_path[path] = Inode(path, entry, version)
        inode.handles += 1
        return inode, keeps

    def release(self, inode: Inode) -> None:
        """A handle on `inode` is closed."""
        inode.handles -= 1
        if is_retired(inode.path) and not inode.handles:
            self._closed[inode.path] = self._by_path.pop(inode.path).entry

    def path_to_retire_to(self) -> str:
        """A path for an inode, which is given out once and which no program can name: there is no folder."""
        return f"{_RETIRED}{next(self._numbers)}"

    def move(self, path: str, retired: str) -> None:
        """The inode at `path` is at `retired` from now on."""
        inode = self._by_path.pop(path, None)
        if inode is None:
            return
        inode.path = retired
        if inode.handles:
            self._by_path[retired] = inode
        else:
            self._closed[retired] = inode.entry
