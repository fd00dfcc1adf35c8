"""Whether a file is still what was seen of it a while ago, when somebody opens it who opens nothing else.

A browser looks at a file when it is chosen, and opens it when it is sent: what the listing had at first may
be replaced by then. A program that goes through many files does not wait for this.
"""

import time
from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.clock import aging_clock
from empirical_fs.errors import NoThread
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.nodes import Node
from empirical_fs.reading.content import Content
from empirical_fs.work.timer import Timer

_QUIET_SECONDS = 0.3
"""Without an open or a close, after which an open is nobody's walk."""
_SEEN_SECONDS = 0.1
"""How long ago the file was looked at: who opens it by its name for the first time looks just before."""
_SURE_SECONDS, _SURE_SECONDS_MAX = 2.0, 60.0
"""For how long a listing, or an answer of the store, is as good as another one.

The longer, the more often the store was asked about a version: a program may open the same file every minute.
"""
_LOOKS_FREE, _LOOKS_MAX = 2, 10
_WAIT_SECONDS = 2.0


class FirstLooks:
    """Asks the store before such an open. What it is made of may be used by several threads."""

    def __init__(self, files: Files, timer: Timer) -> None:
        """Look at `files`."""
        self._catalog, self._inodes, self._walks = files.catalog, files.inodes, files.walks
        self._timer = timer
        self._touched_at = float("-inf")

    def touched(self) -> None:
        """A file is opened or closed."""
        self._touched_at = time.monotonic()

    def is_due(self, node: Node, entry: Entry) -> bool:
        """Whether to ask before a node, which is `entry`, is opened."""
        now, sure = aging_clock(), _sure_for(node.looks)
        if (
            not entry.resource.size
            or time.monotonic() - self._touched_at < _QUIET_SECONDS
            or now - self._catalog.asked_at < sure
            or not self._inodes.has_known_for(node, _SEEN_SECONDS)
        ):
            return False
        content = self._latest(node, entry)
        return content is None or not (content.is_put_off or now - content.confirmed_at < sure)

    def look(self, node: Node, entry: Entry, on_known: Callable[[], object]) -> None:
        """Ask, and tell `on_known` within two seconds; another content than the listing's is distrusted."""
        node.looks = min(node.looks + 1, _LOOKS_MAX)
        content, release = self._latest(node, entry), _nothing
        if content is None:
            handle = self._walks.open(entry.resource)
            content, release = handle.content, handle.close
        try:
            alarm = self._timer.after(_WAIT_SECONDS, partial(self._tell, entry, content, release, on_known))
        except BaseException:
            release()
            raise
        try:
            self._walks.ask_again(content, alarm.ring)
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


def _sure_for(looks: int) -> float:
    """For how many seconds one is sure of a version about which the store was asked so often."""
    return min(_SURE_SECONDS * 2.0 ** max(looks - _LOOKS_FREE, 0), _SURE_SECONDS_MAX)


def _nothing() -> None:
    """There is nothing to be released."""
