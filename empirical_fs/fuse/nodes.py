"""Which version of which resource each inode of the kernel is: pure policy, so that no two are mixed.

A node is one version, and the kernel's pages of it are pages of that version alone, however often it is
opened. A name that means another version by now leads to another node at the next lookup. The kernel knows a
node by its number, which belongs to it for the life of the mount; programs see `st_ino`, which comes from the
resource's id, in its place.
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
        """Whether the store has shown that they are no longer there."""


class Node(msgspec.Struct, eq=False, gc=False):
    """One inode of the kernel: a version of a resource.

    After an `ls -l` of a large project there are so many that the garbage collector must not go through them:
    what they hold does not refer to them.
    """

    number: int
    entry: Entry
    """What the kernel was told of it."""
    content: Content | None = None
    """What its pages are of, from the first open on."""
    lookups: int = 0
    """How often the kernel was told of it and has not forgotten."""
    handles: int = 0
    is_given: bool = False
    """Whether the kernel may have pages of it: bytes of its content were given, or are about to be.

    Set before they are, by whoever then sees whether the content is still the node's.
    """
    looks: int = 0
    """How often the store was asked whether it still has this version, before an open."""
    told_since: float = float("-inf")
    """When the kernel was told of it first, since it has it, on the clock of whoever tells."""
    told_until: float = float("-inf")
    """When the kernel drops the attributes that it was told last, on the clock of whoever tells."""
    sent_back: set[int] | None = None
    """The threads whose open was refused; who comes again has found the node by its number."""
    failed: tuple[int, int] | None = None
    """Offsets of the first byte, and after the last one, for which reads failed.

    The kernel keeps their pages, without content, and asks for each alone from then on.
    """
    is_unlisted: bool = False
    """Whether its resource has left the listing: once it is unused, nobody can find it again."""

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that this version is no longer there."""
        return self.content is not None and self.content.is_over

    @property
    def is_used(self) -> bool:
        """Whether the kernel has it."""
        return bool(self.lookups or self.handles)

    def is_to_change_open(self, now: Entry) -> bool:
        """Whether it may become `now` while it is open: nobody had any of its bytes, nor holds a link's.

        Its size stays: who has looked at it would take the beginning of a longer one for the whole, and the
        kernel, which may have asked for more already, adds zeros to a shorter one (fuse_short_read in Linux).
        """
        is_upload = self.entry.resource.link is None and now.resource.link is None
        return is_upload and not self.is_given and now.is_sized and now.size == self.entry.size

    def note_failed(self, start: int, stop: int) -> None:
        """Take note that a read of these bytes failed."""
        if start < stop:
            first, last = self.failed or (start, stop)
            self.failed = min(first, start), max(last, stop)

    def is_superseded_by(self, now: Entry | None) -> bool:
        """Whether its resource, which the listing has as `now`, is another version or gone."""
        return self.is_over or self.entry.is_superseded_by(now)


class Nodes:
    """The nodes that the kernel may name. Not safe between threads; its owner serialises."""

    def __init__(self) -> None:
        """Begin with nothing told to the kernel."""
        self._by_number: dict[int, Node] = {}
        self._of: dict[int, tuple[Node, ...]] = {}
        """The nodes of each resource, by its id; the newest version is the last."""
        self._unused: OrderedDict[int, Node] = OrderedDict()
        """Those that the kernel has forgotten: a file handle may still have the number."""
        self._numbers = count(ROOT_NUMBER + 1)

    def of(self, entry: Entry) -> Node:
        """The node of that version, which is made if there is none."""
        for each in self._of.get(entry.resource.id, ()):
            each.is_unlisted = False
        node = self.current(entry.resource.id)
        if node is not None and not node.is_superseded_by(entry):
            # Its name, and what is said of it beside its content, may be others by now.
            node.entry = node.entry.as_said_by(entry)
            return node
        node = Node(next(self._numbers), entry)
        self._by_number[node.number] = node
        self._of[entry.resource.id] = (*self.all_of(entry.resource.id), node)
        self._note_use(node)
        return node

    def described(self, entry: Entry) -> None:
        """The listing says something else of a resource: its newest node shows that, even when it is gone."""
        node = self.current(entry.resource.id)
        if node is not None and not node.is_superseded_by(entry):
            node.entry = node.entry.as_said_by(entry)

    def current(self, resource_id: int) -> Node | None:
        """The newest node of a resource, if the kernel was told of any."""
        nodes = self._of.get(resource_id)
        return nodes[-1] if nodes else None

    def all_of(self, resource_id: int) -> tuple[Node, ...]:
        """Every node of a resource that can be found."""
        return self._of.get(resource_id, ())

    def find(self, number: int) -> Node | None:
        """The node of that number."""
        return self._by_number.get(number)

    def looked_up(self, node: Node) -> None:
        """The kernel is told of a node once more."""
        node.lookups += 1
        self._note_use(node)

    def forget(self, number: int, lookups: int) -> None:
        """The kernel forgets so many of the times that it was told of a node."""
        node = self._by_number.get(number)
        if node is not None:
            node.lookups = max(node.lookups - lookups, 0)
            node.told_until = float("-inf")
            # It has evicted the inode, and the pages with it.
            node.is_given = node.is_given and node.is_used
            self._note_use(node)

    def opened(self, node: Node, content: Content | None) -> bool:
        """A handle is opened for the bytes `content`; False, and none is, if the node is of other bytes."""
        if node.content is None:
            node.content = content
        if node.content is not content:
            return False
        node.handles += 1
        node.sent_back = None
        self._note_use(node)
        return True

    def released(self, node: Node) -> None:
        """A handle is closed."""
        node.handles -= 1
        self._note_use(node)

    def send_back(self, node: Node, caller: int) -> bool:
        """Refuse an open of a version that is over; False if that caller was refused before.

        The kernel looks the name up again, and opens what it finds. Who comes again has no name to look up.
        """
        if node.sent_back is not None and caller in node.sent_back:
            return False
        if node.sent_back is None or len(node.sent_back) >= _SENT_BACK_MAX:
            node.sent_back = set()
        node.sent_back.add(caller)
        return True

    def adopt(self, node: Node, content: Content | None) -> bool:
        """Have an open handle read `content` from now on; False if the node is of other bytes."""
        if node.content is None:
            node.content = content
        return node.content is content

    def renew(self, node: Node, now: Entry) -> bool:
        """Give a node another version, once its pages and attributes are dropped; True if it has that.

        While it is open, only if nobody was given any of its bytes.
        """
        before, node.content = node.content, None
        # Who gives bytes notes so first and looks at the content afterwards; here it is the other way round.
        if node.handles and not node.is_to_change_open(now):
            node.content = before
            return False
        node.entry, node.sent_back, node.is_given, node.looks = now, None, False, 0
        node.told_until = float("-inf")
        return True

    def vanished(self, resource_id: int) -> None:
        """A resource is not listed any more: what the kernel does not use of it cannot be found again."""
        for node in self.all_of(resource_id):
            node.is_unlisted = True
            self._note_use(node)

    def _note_use(self, node: Node) -> None:
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
