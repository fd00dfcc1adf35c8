"""Answers requests later: once the listing agrees with the store, or once the size of a file is known."""

from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.request import Request
from empirical_fs.work.timer import Timer

_LISTING_SECONDS = 1.0
"""How long a request waits for a listing, which takes less unless the API has problems."""
_SIZE_SHARE, _SIZE_SECONDS_MAX = 0.9, 10.0
"""How long a request waits for a size that the API did not give: this share of the deadline, at most 10 s.

While a lookup waits, the kernel cannot be notified of changes of the directory.
"""


class CatalogWaits:
    """Lets requests wait for the catalogue. Its components are thread-safe."""

    def __init__(self, catalog: Catalog, answering: Answering, timer: Timer) -> None:
        """Wait for listings of `catalog`, and for the sizes that it finds."""
        self._catalog, self._answering, self._timer = catalog, answering, timer

    def for_listing(
        self, request: Request, about: About, resource_id: int, work: Callable[[], object]
    ) -> None:
        """Call `work`, which answers the request, once a listing has settled the doubt about a resource.

        The store may be ahead of the last listing. `work` is also called if no listing could be fetched, or
        none has arrived within a second.
        """
        self._answering.defer(request, about)
        go_on = partial(self._answering.go_on, request, about, work)
        self._catalog.when_settled(resource_id, self._timer.after(_LISTING_SECONDS, go_on).ring)

    def for_size(self, request: Request, about: About, entry: Entry, work: Callable[[], None]) -> None:
        """Call `work`, which answers the request, once the size of `entry` is known.

        Without the size, a program would take the file for empty. `work` is also called if the size cannot be
        found, or is not known in time.
        """
        self._answering.defer(request, about)
        go_on = partial(self._answering.go_on, request, about, work)
        patience = min(self._answering.timeout * _SIZE_SHARE, _SIZE_SECONDS_MAX)
        self._catalog.when_sized(entry, self._timer.after(patience, go_on).ring)


def was_awaited(awaited: Entry | None, now: Entry) -> bool:
    """Whether `now` is the version whose size was waited for, and not one that has replaced it meanwhile."""
    return awaited is not None and not awaited.is_superseded_by(now)
