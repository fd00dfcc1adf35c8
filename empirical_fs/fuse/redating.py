"""A version that is open, and that the listing has under another date: the same content, or another one."""

import threading
from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.clock import aging_clock
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.request import Request
from empirical_fs.reading.content import Content
from empirical_fs.reading.walk_prefetch import WalkPrefetch

OnKnown = Callable[[], object]
"""Told when a node is what its resource is now, or is over, or neither could be found out."""


class Redating:
    """Asks the store whether a version goes on, once for all who want to know.

    The lock guards who waits for which answer.
    """

    def __init__(self, inodes: InodeTable, walks: WalkPrefetch, answering: Answering) -> None:
        """Ask about contents that `walks` hands out."""
        self._inodes, self._walks, self._answering = inodes, walks, answering
        self._lock = threading.Lock()
        self._waiting: dict[Content, list[OnKnown]] = {}

    def is_possible(self, node: Node, now: Entry) -> bool:
        """Whether `now` may be what a node shows under another date: by its size, and the store can tell."""
        content = node.content
        return (
            isinstance(content, Content)
            and content.is_exactly_tied
            and not content.is_over
            and now.resource.size == content.size
            and now.resource.link is None
        )

    def find_out(self, request: Request, about: About, node: Node, now: Entry, on_known: OnKnown) -> None:
        """Ask the store; a node whose content it still has is from then on what `now` is.

        Raises:
            NoThread: nobody can ask.
        """
        content, asked_at = node.content, aging_clock()
        assert isinstance(content, Content)

        def go_on() -> None:
            if content.confirmed_at >= asked_at and not content.is_over and node.content is content:
                self._walks.redated(content, now.resource)
                self._inodes.redated(node, now)
            on_known()

        self._answering.defer(request, about)
        call = partial(self._answering.go_on, request, about, go_on)
        with self._lock:
            waiting = self._waiting.get(content)
            if waiting is not None:
                waiting.append(call)
                return
            self._waiting[content] = [call]
        # Where it did not answer a moment ago, nobody waits for the same once more.
        is_asked = not content.is_put_off
        try:
            if is_asked:
                self._walks.ask_again(content, partial(self._tell, content))
        except BaseException:
            is_asked = False
            raise
        finally:
            if not is_asked:
                self._tell(content)

    def _tell(self, content: Content) -> None:
        with self._lock:
            waiting = self._waiting.pop(content, [])
        for call in waiting:
            call()
