"""The nodes, shared between threads; tells the kernel when they change."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.fuse.nodes import ROOT_NUMBER, Content, Node, Nodes


class Kernel(Protocol):
    """The kernel's caches of inodes and names.

    Each call may block until running operations end, so never call it from an operation.
    """

    def drop_entry(self, name: str) -> None:
        """Make the kernel look a name up again."""

    def drop_attributes(self, number: int) -> None:
        """Make the kernel ask for the attributes of an inode again."""

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        """Make the kernel drop the attributes and cached pages of an inode; True if it has none any more.

        The pages are those of `size` bytes from `start`; with `size` 0, all from `start` to the end.
        """


class InodeTable:
    """What the kernel knows about the files.

    The lock guards the nodes; it is not held while the kernel is notified.
    """

    def __init__(self, kernel: Kernel, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a `kernel` that knows no file yet; `clock` returns seconds."""
        self._kernel = kernel
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes = Nodes()

    def find(self, number: int) -> Node | None:
        """The node with that number; None if there is none."""
        return self._nodes.find(number)

    def tell(self, entry: Entry, seconds: float) -> Node:
        """The node of a file, for an answer to the kernel, which keeps the attributes for `seconds`.

        Counts a lookup.
        """
        with self._lock:
            node = self._nodes.of(entry)
            self._note_told(node, seconds)
            return node

    def tell_again(self, node: Node, seconds: float, now: Entry) -> Entry:
        """The entry of a node that is looked up by its number, for an answer to the kernel; counts a lookup.

        Such a lookup comes from the kernel itself, or from a program that opens by file handle. `now` is the
        node's resource in the listing. A node that the kernel has forgotten has no cached pages, so it
        becomes `now` if its version is over.
        """
        with self._lock:
            if not node.is_used and node.is_superseded_by(now):
                self._nodes.renew(node, now)
            self._note_told(node, seconds)
            return node.entry

    def take_back(self, node: Node) -> None:
        """Undo `tell`: the kernel did not accept the answer."""
        self.forget(node.number, 1)

    def forget(self, number: int, lookups: int) -> None:
        """Note that the kernel forgets that many lookups of a node."""
        with self._lock:
            self._nodes.forget(number, lookups)

    def has_attributes(self, entry: Entry) -> bool:
        """Whether the kernel has the current attributes of a file cached."""
        node = self._nodes.current(entry.resource.id)
        return node is not None and node.told_until > self._clock() and not node.is_superseded_by(entry)

    def has_known_for(self, node: Node, seconds: float) -> bool:
        """Whether the kernel has known a node for at least that long."""
        return self._clock() - node.told_since >= seconds

    def open(self, node: Node, content: Content | None, backing: int = 0) -> bool:
        """Open a handle on a node to read `content`; as `Nodes.opened`."""
        with self._lock:
            return self._nodes.opened(node, content, backing)

    def adopt(self, node: Node, content: Content | None) -> bool:
        """As `Nodes.adopt`."""
        with self._lock:
            return self._nodes.adopt(node, content)

    def release(self, node: Node) -> int:
        """Note that a handle is closed; as `Nodes.released`."""
        with self._lock:
            return self._nodes.released(node)

    def send_back(self, node: Node, caller: int) -> bool:
        """As `Nodes.send_back`."""
        with self._lock:
            return self._nodes.send_back(node, caller)

    def renew(self, node: Node, now: Entry) -> None:
        """Change a node that was found by its number to its resource's current version, `now`.

        Not while it is open, unless no program has received any of its bytes.
        Blocks for the kernel: never call it from an operation for which the kernel holds page or name locks.
        """
        if not node.handles:
            # With open handles, dropping pages could deadlock: a program may wait for a page of it.
            if not self._kernel.drop_pages(node.number):
                return
        elif not node.is_to_change_open(now):
            return
        else:
            self._kernel.drop_attributes(node.number)
        with self._lock:
            if node.is_superseded_by(now):
                self._nodes.renew(node, now)

    def drop_failed(self, node: Node) -> None:
        """Make the kernel drop the pages of failed reads; blocks as `renew`. The node must not be open."""
        failed, node.failed = node.failed, None
        if failed is not None:
            start, stop = failed
            self._kernel.drop_pages(node.number, start, stop - start)

    def renew_told(self, node: Node, now: Entry) -> bool:
        """As `renew`, when the kernel is about to get the attributes anyway; True if the node is `now`."""
        with self._lock:
            if not node.is_superseded_by(now):
                return True
            return node.is_to_change_open(now) and self._nodes.renew(node, now)

    def redated(self, node: Node, now: Entry) -> None:
        """Note that the content of a node is that of `now`, which only has another date."""
        with self._lock:
            node.entry = now

    def changed(self, names: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        """Notify the kernel of the `names` that changed since the `older` listing; each with its entry now.

        Blocks until running lookups and listings end, since the kernel locks the directory for them; their
        answers are dropped with the rest. Never call it from an operation.

        If only the extended attributes of a name changed, which the kernel does not cache, the name is kept:
        a dropped file looks deleted to the programs that have it open, and loses what is mounted on it.
        """
        pairs = [(name, older.by_name.get(name), now) for name, now in names.items()]
        dropped = [(name, before, now) for name, before, now in pairs if not _looks_the_same(before, now)]
        entries = [entry for _, *both in dropped for entry in both if entry]
        touched = {entry.resource.id for entry in entries}
        with self._lock:
            nodes = [node for each in touched for node in self._nodes.all_of(each) if node.is_used]
            for node in nodes:
                node.told_until = float("-inf")
            for now in filter(None, names.values()):
                self._nodes.described(now)
            for each in touched:
                if each not in newer.resources:
                    self._nodes.vanished(each)
        for name, *_ in dropped:
            self._kernel.drop_entry(name)
        for node in nodes:
            self._kernel.drop_attributes(node.number)
        self._kernel.drop_attributes(ROOT_NUMBER)

    def _note_told(self, node: Node, seconds: float) -> None:
        """Count a lookup of a node, and note when its attributes expire. The lock is held."""
        now = self._clock()
        if not node.lookups:
            node.told_since = now
        self._nodes.looked_up(node)
        node.told_until = now + seconds


def _looks_the_same(before: Entry | None, now: Entry | None) -> bool:
    return before is not None and now is not None and before.is_shown_as(now)
