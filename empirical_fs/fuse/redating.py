"""Finds out whether an open version that the listing has with another date is still the same content."""

import threading
from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.clock import aging_clock
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.request import Request
from empirical_fs.fuse.revalidation import note_answer
from empirical_fs.fuse.store_backoff import StoreBackoff
from empirical_fs.reading.content import Content
from empirical_fs.reading.walk_prefetch import WalkPrefetch

OnKnown = Callable[[], object]
"""Called when the node is known to be current, or to be over, or when neither could be found out."""


class Redating:
    """Asks the store whether it still has a version, once for all requests that wait for the answer.

    The lock guards the table of waiting requests.
    """

    def __init__(
        self, inodes: InodeTable, walks: WalkPrefetch, answering: Answering, backoff: StoreBackoff
    ) -> None:
        """Ask about contents that `walks` has opened; `backoff` learns whether the store answers."""
        self._inodes, self._walks, self._answering = inodes, walks, answering
        self._backoff = backoff
        self._lock = threading.Lock()
        self._waiting: dict[Content, list[OnKnown]] = {}

    def is_possible(self, node: Node, now: Entry) -> bool:
        """Whether `now` may be a node's content with another date: sizes match, and validators can tell."""
        content = node.content
        return (
            isinstance(content, Content)
            and content.is_exactly_tied
            and not content.is_over
            and now.resource.size == content.size
            and now.resource.link is None
        )

    def find_out(self, request: Request, about: About, node: Node, now: Entry, on_known: OnKnown) -> None:
        """Ask the store, then call `on_known`; if it still has the node's content, the node becomes `now`.

        Raises:
            NoThread: no thread can ask.
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
        # If the store did not answer a moment ago, do not wait for it again.
        is_asked = not (content.is_put_off or self._backoff.is_active)

        def answered() -> None:
            note_answer(self._backoff, content, asked_at)
            self._tell(content)

        try:
            if is_asked:
                self._walks.ask_again(content, answered)
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
