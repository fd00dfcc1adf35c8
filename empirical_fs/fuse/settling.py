"""Lets requests wait for a listing that agrees with the store, which may be ahead of the last listing."""

from collections.abc import Callable
from functools import partial

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.request import Request
from empirical_fs.work.timer import Timer

_SECONDS = 1.0
"""How long to wait: a listing takes less, unless the API has problems."""


class Settling:
    """Lets requests wait. Its components are thread-safe."""

    def __init__(self, catalog: Catalog, answering: Answering, timer: Timer) -> None:
        """Wait for listings of `catalog`."""
        self._catalog, self._answering, self._timer = catalog, answering, timer

    def wait(self, request: Request, about: About, resource_id: int, work: Callable[[], object]) -> None:
        """Call `work`, which answers a request, once a new listing has settled doubts about a resource.

        `work` is also called if the listing could not be fetched, or does not arrive within a second.
        """
        self._answering.defer(request, about)
        go_on = partial(self._answering.go_on, request, about, work)
        self._catalog.when_settled(resource_id, self._timer.after(_SECONDS, go_on).ring)
