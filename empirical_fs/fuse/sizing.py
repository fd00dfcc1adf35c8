"""Delays answers about an upload whose size the API does not give, until the store has told the size."""

from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.request import Request
from empirical_fs.work.timer import Timer

_SIZE_SHARE, _SIZE_SECONDS_MAX = 0.9, 10.0
"""How long an answer waits for a size that the API did not give: this share of the deadline, at most 10 s.

While a lookup waits, the kernel cannot be notified of changes of the directory.
"""


class Sizing:
    """Without the size, a program would take the file for empty. Its components are thread-safe."""

    def __init__(self, catalog: Catalog, answering: Answering, timer: Timer) -> None:
        """Wait for the sizes that `catalog` finds."""
        self._catalog = catalog
        self._answering = answering
        self._timer = timer

    def wait(self, request: Request, about: About, entry: Entry, answer: Callable[[], None]) -> None:
        """Call `answer` once the size of `entry` is known, cannot be found, or has not come in time."""
        self._answering.defer(request, about)
        go_on = partial(self._answering.go_on, request, about, answer)
        patience = min(self._answering.timeout * _SIZE_SHARE, _SIZE_SECONDS_MAX)
        alarm = self._timer.after(patience, go_on)
        self._catalog.when_sized(entry, alarm.ring)
