"""Decides which version of which resource each of the kernel's inodes is, so that versions never mix. Policy.

A node is one version, and the pages that the kernel caches for it are of that version only, however often it
is opened. When a name has another version, the next lookup leads to another node. The kernel identifies a
node by its number, which it keeps for the life of the mount; programs see `st_ino` instead, which is made
from the resource's id.
"""

from collections import OrderedDict
from itertools import count
from typing import Protocol

import msgspec

from empirical_fs.catalog.snapshot import Entry

ROOT_NUMBER = 1
"""The number of the root (FUSE_ROOT_ID in linux/fuse.h)."""

_REMEMBERED_MAX = 2**20
_SENT_BACK_MAX = 64


class Content(Protocol):
    """The bytes of a version."""

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that they no longer exist."""


class Node(msgspec.Struct, eq=False, gc=False):
    """One of the kernel's inodes: a version of a resource.

    After an `ls -l` of a large project there are so many nodes that the garbage collector must not traverse
    them (gc=False); that is safe, since nothing that a node holds refers back to it.
    """

    number: int
    entry: Entry
    """The entry whose attributes the kernel was given."""
    content: Content | None = None
    """The content of its cached pages; set at the first open."""
    lookups: int = 0
    """FUSE's lookup count: the lookups that the kernel has not forgotten yet."""
    handles: int = 0
    """How many handles are open on it."""
    backing: int = 0
    """The kernel's number of the file that it reads by itself for all of these handles; 0 if there is none.

    The kernel refuses an open that differs in this from the others of its inode (fs/fuse/iomode.c in Linux).
    """
    is_given: bool = False
    """Whether the kernel may have pages of it: bytes of its content were given, or are about to be.

    Set before the bytes are given; the thread then checks that the content is still the node's.
    """
    revalidations: int = 0
    """How often the store was asked before an open whether it still has this version."""
    told_since: float = float("-inf")
    """When the kernel first learned of it, since it last forgot it; on the inode table's clock."""
    told_until: float = float("-inf")
    """When the attributes expire that the kernel was given last; on the inode table's clock."""
    sent_back: set[int] | None = None
    """The threads whose open was refused; one that comes again has found the node by its number."""
    failed: tuple[int, int] | None = None
    """The range for which reads failed: offsets of the first byte, and after the last one.

    The kernel keeps empty pages for them, and from then on requests each of these pages alone.
    """
    is_unlisted: bool = False
    """Whether its resource has left the listing: once the node is unused, it cannot be found again."""

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that this version no longer exists."""
        return self.content is not None and self.content.is_over

    @property
    def is_used(self) -> bool:
        """Whether the kernel knows it, or it is open."""
        return bool(self.lookups or self.handles)

    def is_to_change_open(self, now: Entry) -> bool:
        """Whether it may become `now` while it is open: an upload of which no byte was given to a program.

        The size must not change: a program that has seen the size would take the beginning of a longer file
        for all of it, and the kernel, which may already have requested more, would pad a shorter file with
        zeros (fuse_short_read in Linux).
        """
        is_upload = self.entry.resource.link is None and now.resource.link is None
        return is_upload and not self.is_given and now.is_sized and now.size == self.entry.size

    def note_failed(self, start: int, stop: int) -> None:
        """Note that a read of the bytes from `start` to `stop` failed."""
        if start < stop:
            first, last = self.failed or (start, stop)
            self.failed = min(first, start), max(last, stop)

    def is_superseded_by(self, now: Entry | None) -> bool:
        """Whether its resource, which the listing has as `now`, is another version, or deleted (None)."""
        return self.is_over or self.entry.is_superseded_by(now)


class Nodes:
    """The nodes that the kernel may refer to. Not thread-safe; the owner serialises calls."""

    def __init__(self) -> None:
        """Begin without nodes."""
        self._by_number: dict[int, Node] = {}
        self._of: dict[int, tuple[Node, ...]] = {}
        """The nodes of each resource, by its id; the newest version is the last."""
        self._unused: OrderedDict[int, Node] = OrderedDict()
        """Nodes that the kernel has forgotten, the oldest first: a file handle may still have the number."""
        self._numbers = count(ROOT_NUMBER + 1)

    def of(self, entry: Entry) -> Node:
        """The node for the version `entry`; a new one if there is none."""
        for each in self._of.get(entry.resource.id, ()):
            each.is_unlisted = False
        node = self.current(entry.resource.id)
        if node is not None and not node.is_superseded_by(entry):
            # The name and other details may have changed, while the content is the same.
            node.entry = node.entry.as_said_by(entry)
            return node
        node = Node(next(self._numbers), entry)
        self._by_number[node.number] = node
        self._of[entry.resource.id] = (*self.all_of(entry.resource.id), node)
        self._note_use(node)
        return node

    def described(self, entry: Entry) -> None:
        """Update the nodes of a resource whose details have changed in the listing, if they are its version.

        They then show these even after the resource was deleted. Older nodes may be its version, too: those
        whose content was found to be the same with another date.
        """
        for node in self.all_of(entry.resource.id):
            if not node.is_superseded_by(entry):
                node.entry = node.entry.as_said_by(entry)

    def current(self, resource_id: int) -> Node | None:
        """The newest node of a resource; None if it has none."""
        nodes = self._of.get(resource_id)
        return nodes[-1] if nodes else None

    def all_of(self, resource_id: int) -> tuple[Node, ...]:
        """Every node of a resource."""
        return self._of.get(resource_id, ())

    def find(self, number: int) -> Node | None:
        """The node with that number; None if there is none."""
        return self._by_number.get(number)

    def looked_up(self, node: Node) -> None:
        """Count a lookup of a node."""
        node.lookups += 1
        self._note_use(node)

    def forget(self, number: int, lookups: int) -> None:
        """Note that the kernel forgets that many lookups of a node."""
        node = self._by_number.get(number)
        if node is not None:
            node.lookups = max(node.lookups - lookups, 0)
            node.told_until = float("-inf")
            # If none are left, the kernel has evicted the inode and its pages.
            node.is_given = node.is_given and node.is_used
            self._note_use(node)

    def opened(self, node: Node, content: Content | None, backing: int = 0) -> bool:
        """Count a handle that reads `content`; False, uncounted, if the node has another content.

        If it is the first handle, the kernel reads the file `backing` by itself for it and those that follow,
        until all are closed; with 0, it reads no file by itself.
        """
        if node.content is None:
            node.content = content
        if node.content is not content:
            return False
        if not node.handles:
            node.backing = backing
            # We see none of the reads.
            node.is_given = node.is_given or bool(backing)
        node.handles += 1
        node.sent_back = None
        self._note_use(node)
        return True

    def released(self, node: Node) -> int:
        """Note that a handle is closed; returns the `backing` that the kernel no longer needs, or 0."""
        node.handles -= 1
        unneeded = 0
        if not node.handles:
            unneeded, node.backing = node.backing, 0
        self._note_use(node)
        return unneeded

    def send_back(self, node: Node, caller: int) -> bool:
        """Whether to refuse an open of a version that is over; False if that thread was refused before.

        After the refusal the kernel looks the name up again, and opens the new node. If the same thread comes
        to the old node again, it opens by number and has no name to look up.
        """
        if node.sent_back is not None and caller in node.sent_back:
            return False
        if node.sent_back is None or len(node.sent_back) >= _SENT_BACK_MAX:
            node.sent_back = set()
        node.sent_back.add(caller)
        return True

    def adopt(self, node: Node, content: Content | None) -> bool:
        """Let an open handle read `content` from now on; False if the node has another content."""
        if node.content is None:
            node.content = content
        return node.content is content

    def renew(self, node: Node, now: Entry) -> bool:
        """Change a node to the version `now`, once its pages and attributes are dropped; False if impossible.

        While it is open, it changes only if none of its bytes were given to a program.
        """
        before, node.content = node.content, None
        # `may_give` sets `is_given` first and checks the content afterwards. In the opposite order here, at
        # least one of the two notices the other.
        if node.handles and not node.is_to_change_open(now):
            node.content = before
            return False
        node.entry, node.sent_back, node.is_given, node.revalidations = now, None, False, 0
        node.told_until = float("-inf")
        return True

    def vanished(self, resource_id: int) -> None:
        """Remove the unused nodes of a resource that has left the listing: they cannot be found again."""
        for node in self.all_of(resource_id):
            node.is_unlisted = True
            self._note_use(node)

    def _note_use(self, node: Node) -> None:
        """Note whether a node is used; remove it if it is unused and unlisted, or too many are unused."""
        if node.is_used:
            self._unused.pop(node.number, None)
            return
        self._unused[node.number] = node
        self._unused.move_to_end(node.number)
        if node.is_unlisted:
            self._remove(node)
        while len(self._unused) > _REMEMBERED_MAX:
            self._remove(next(iter(self._unused.values())))

    def _remove(self, node: Node) -> None:
        del self._unused[node.number], self._by_number[node.number]
        resource_id = node.entry.resource.id
        nodes = tuple(each for each in self._of.pop(resource_id) if each is not node)
        if nodes:
            self._of[resource_id] = nodes
