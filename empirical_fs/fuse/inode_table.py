"""The nodes between threads, and what the kernel is told when they become something else."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.fuse.nodes import ROOT_NUMBER, Content, Node, Nodes


class Kernel(Protocol):
    """What the kernel holds of inodes and names; each call may wait for operations, and none may make one."""

    def drop_entry(self, name: str) -> None:
        """Have it look a name up again."""

    def drop_attributes(self, number: int) -> None:
        """Have it ask for the attributes of an inode again."""

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        """Have it drop attributes and pages of an inode; whether it has none any more.

        Those of `size` bytes from `start` on, or all of them to the end.
        """


class InodeTable:
    """What the kernel knows of the files.

    The lock guards the nodes; it is not held while the kernel is told.
    """

    def __init__(self, kernel: Kernel, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing told to `kernel`; `clock` tells seconds."""
        self._kernel = kernel
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes = Nodes()

    def find(self, number: int) -> Node | None:
        """The node of that number."""
        return self._nodes.find(number)

    def tell(self, entry: Entry, seconds: float) -> Node:
        """The node of a file, of which the kernel is told now; it keeps the attributes for `seconds`."""
        with self._lock:
            node = self._nodes.of(entry)
            self._note_told(node, seconds)
            return node

    def tell_again(self, node: Node, seconds: float, now: Entry) -> Entry:
        """The kernel, or whoever gives it a file handle, asks for a node by its number; what it is.

        `now` is what the listing has of its resource. A node that the kernel has forgotten has no pages.
        """
        with self._lock:
            if not node.is_used and node.is_superseded_by(now):
                self._nodes.renew(node, now)
            self._note_told(node, seconds)
            return node.entry

    def take_back(self, node: Node) -> None:
        """The kernel did not take the answer that told of a node."""
        self.forget(node.number, 1)

    def forget(self, number: int, lookups: int) -> None:
        """The kernel forgets so many times that it was told of a node."""
        with self._lock:
            self._nodes.forget(number, lookups)

    def has_attributes(self, entry: Entry) -> bool:
        """Whether the kernel has the attributes of a file as it is now."""
        node = self._nodes.current(entry.resource.id)
        return node is not None and node.told_until > self._clock() and not node.is_superseded_by(entry)

    def has_known_for(self, node: Node, seconds: float) -> bool:
        """Whether the kernel was told of a node so long ago."""
        return self._clock() - node.told_since >= seconds

    def open(self, node: Node, content: Content | None) -> bool:
        """Open a handle on a node for the bytes `content`; False if it is of other bytes."""
        with self._lock:
            return self._nodes.opened(node, content)

    def adopt(self, node: Node, content: Content | None) -> bool:
        """As `Nodes.adopt`."""
        with self._lock:
            return self._nodes.adopt(node, content)

    def release(self, node: Node) -> None:
        """A handle is closed."""
        with self._lock:
            self._nodes.released(node)

    def send_back(self, node: Node, caller: int) -> bool:
        """As `Nodes.send_back`."""
        with self._lock:
            return self._nodes.send_back(node, caller)

    def renew(self, node: Node, now: Entry) -> None:
        """Give a node that was found by its number what its resource is now.

        Not while it is open, unless nobody has had any of its bytes.
        Waits for the kernel: never from an operation that the kernel waits for with pages or names locked.
        """
        if not node.handles:
            # Who has it open may wait for a page of it, and this would wait for that; then there are none.
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
        """Have the kernel drop the pages of reads that failed; as `renew`, of a node that nobody has open."""
        failed, node.failed = node.failed, None
        if failed is not None:
            start, stop = failed
            self._kernel.drop_pages(node.number, start, stop - start)

    def renew_told(self, node: Node, now: Entry) -> bool:
        """The same, where the kernel is about to be told the attributes; whether the node is that now."""
        with self._lock:
            if not node.is_superseded_by(now):
                return True
            return node.is_to_change_open(now) and self._nodes.renew(node, now)

    def redated(self, node: Node, now: Entry) -> None:
        """The content of a node is what its resource has now, under another date."""
        with self._lock:
            node.entry = now

    def changed(self, names: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        """Names mean something else than in the `older` listing: the kernel knows when this returns.

        Waits for lookups and listings that are under way, since the kernel lets nobody change a directory
        meanwhile: what they were told is dropped with the rest. Never from an operation.

        Where no more than the extended attributes of a name changed, which the kernel does not keep, it keeps
        the name: what it drops looks deleted to the programs that have it open, and loses what is mounted
        upon it.
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
        """The lock is held."""
        now = self._clock()
        if not node.lookups:
            node.told_since = now
        self._nodes.looked_up(node)
        node.told_until = now + seconds


def _looks_the_same(before: Entry | None, now: Entry | None) -> bool:
    return before is not None and now is not None and before.is_shown_as(now)
