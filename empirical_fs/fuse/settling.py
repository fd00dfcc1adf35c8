"""Has requests wait for a listing that agrees with the store, which may be ahead of the last one."""

from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.request import Request
from empirical_fs.work.timer import Timer

_SECONDS = 1.0
"""How long is waited for it: a listing takes less, unless the API is in trouble."""


class Settling:
    """What it is made of may be used by several threads."""

    def __init__(self, catalog: Catalog, answering: Answering, timer: Timer) -> None:
        """Wait for listings of `catalog`."""
        self._catalog, self._answering, self._timer = catalog, answering, timer

    def wait(self, request: Request, about: About, resource_id: int, work: Callable[[], object]) -> None:
        """Have `work` answer a request once a listing is there that is not in doubt about a resource.

        It answers all the same where the listing could not be had, or does not come within a second.
        """
        self._answering.defer(request, about)
        go_on = partial(self._answering.go_on, request, about, work)
        self._catalog.when_settled(resource_id, self._timer.after(_SECONDS, go_on).ring)
