"""Checks with the store, before an isolated open, that a file has not changed since it was last looked at.

A web browser looks at a file when the user chooses it for an upload, and opens it when it sends it: the
version in the listing may have been replaced by then. A program that reads many files does not wait for this
check.
"""

import time
from collections.abc import Callable

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.clock import aging_clock
from empirical_fs.errors import NoThread
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.store_backoff import StoreBackoff
from empirical_fs.reading.content import Content
from empirical_fs.work.timer import Timer

_QUIET_SECONDS = 0.3
"""After this time without an open or a close, an open does not belong to a directory walk."""
_SEEN_SECONDS = 0.1
"""The kernel must have known the file that long: a first open by name comes just after its lookup."""
_SURE_SECONDS, _SURE_SECONDS_MAX = 2.0, 60.0
"""How long a listing, or an answer of the store, is trusted without asking again.

It grows with the number of times that the store was asked about a version: a program may open the same file
every minute.
"""
_ASKED_FREE, _ASKED_MAX = 2, 10
_WAIT_SECONDS = 2.0


class Revalidation:
    """Asks the store before isolated opens. Its components are thread-safe."""

    def __init__(self, files: Files, timer: Timer, backoff: StoreBackoff) -> None:
        """Check `files`; `timer` limits the wait for the store, and `backoff` learns whether it answers."""
        self._catalog, self._inodes, self._walks = files.catalog, files.inodes, files.walks
        self._timer = timer
        self._backoff = backoff
        self._touched_at = float("-inf")

    def touched(self) -> None:
        """Note that a file is opened or closed."""
        self._touched_at = time.monotonic()

    def is_due(self, node: Node, entry: Entry) -> bool:
        """Whether to ask the store before a node with this entry is opened."""
        now, sure = aging_clock(), _sure_for(node.revalidations)
        if (
            not entry.resource.size
            or time.monotonic() - self._touched_at < _QUIET_SECONDS
            or now - self._catalog.asked_at < sure
            or not self._inodes.has_known_for(node, _SEEN_SECONDS)
        ):
            return False
        content = self._latest(node, entry)
        return content is None or not (content.is_put_off or now - content.confirmed_at < sure)

    def ask(self, node: Node, entry: Entry, on_known: Callable[[], object]) -> None:
        """Ask the store, and call `on_known` within two seconds.

        If the store has another content than the listing, the catalogue is told to distrust the listing.
        """
        node.revalidations = min(node.revalidations + 1, _ASKED_MAX)
        content, release, asked_at = self._latest(node, entry), _nothing, aging_clock()
        if content is None:
            handle = self._walks.open(entry.resource)
            content, release = handle.content, handle.close

        def note() -> None:
            note_answer(self._backoff, content, asked_at)

        def tell() -> None:
            note()
            self._tell(entry, content, release, on_known)

        def answered() -> None:
            note()  # the answer may come too late for the open, but shows that the store is there
            alarm.ring()

        try:
            alarm = self._timer.after(_WAIT_SECONDS, tell)
        except BaseException:
            release()
            raise
        try:
            self._walks.ask_again(content, answered)
        except NoThread:
            alarm.ring()

    def _tell(
        self, entry: Entry, content: Content, release: Callable[[], object], on_known: Callable[[], object]
    ) -> None:
        release()
        if content.is_over:
            self._catalog.distrust(entry.resource)
        on_known()

    def _latest(self, node: Node, entry: Entry) -> Content | None:
        known = node.content if isinstance(node.content, Content) else None
        return self._walks.latest(entry.resource, known)


def note_answer(backoff: StoreBackoff, content: Content, asked_at: float) -> None:
    """Note whether the store has answered about `content` since `asked_at` (aging clock)."""
    if content.is_over or content.confirmed_at >= asked_at:
        backoff.answered()
    else:
        backoff.unanswered(aging_clock() - asked_at)


def _sure_for(times: int) -> float:
    """How many seconds to trust a version about which the store was asked that many `times`."""
    return min(_SURE_SECONDS * 2.0 ** max(times - _ASKED_FREE, 0), _SURE_SECONDS_MAX)


def _nothing() -> None:
    """Does nothing: there is no handle to close."""
