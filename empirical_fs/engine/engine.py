"""Creates the parts that read one project, in their order, and closes them."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from empirical_fs.api.client import Api
from empirical_fs.api.resource import Resource
from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.cache.listing_format import KeptListing
from empirical_fs.catalog.catalog import Catalog, OnChange
from empirical_fs.catalog.directory_times import DirectoryTimes
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.engine.starting import Listings, Tell
from empirical_fs.net.certificates import create_context
from empirical_fs.net.client import Common
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import Blocks
from empirical_fs.reading.fetch.object_store import IN_FLIGHT, STALLED, Store
from empirical_fs.reading.fetch.pool import Fetcher, OnMoved
from empirical_fs.reading.fetch.range_request import Ranges
from empirical_fs.reading.fetch.runs import Runs
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.supply import Means
from empirical_fs.reading.walk_prefetch import WalkPrefetch
from empirical_fs.settings.settings import ProjectSettings
from empirical_fs.statistics import Statistics
from empirical_fs.work.lanes import Lane
from empirical_fs.work.progress import Progress
from empirical_fs.work.reactor import Reactor
from empirical_fs.work.timer import Timer

if TYPE_CHECKING:  # its modules take a tenth of a mount's start
    from empirical_fs.cache.store import State
    from empirical_fs.engine.disk_cache import DiskCache

_FETCHING_SHARE = 0.95
_WANTED_THREADS, _AHEAD_THREADS = 6, 10
"""Threads for requests to the store: for data that reads wait for, and for read-ahead. Waiting needs none."""
_WANTED_PATIENCE = 0.02
"""As `Lane` has it, for data that reads wait for: small pieces, of which one thread fetches the most."""
_AHEAD = 32
"""The most requests at once for read-ahead."""
_ELSEWHERE_THREADS = 32
"""Threads for requests to the API for a new signed URL. Such a request blocks its thread, so these threads
are started only if the API makes it wait."""


def _nothing(*_: object) -> None:
    """Does nothing: the default for callers that need no callback."""


class Engine:
    """The parts that read one project. Each has its own locks; this object does not change once made."""

    def __init__(
        self,
        settings: ProjectSettings,
        *,
        closing: threading.Event,
        on_change: OnChange = _nothing,
        on_moved: OnMoved = _nothing,
        times: DirectoryTimes | None = None,
    ) -> None:
        """Create the parts; nothing is requested before `load`, and no thread is started before `start`.

        Args:
            settings: what to read, and how.
            closing: set when nothing more is to be read, before `close` is called.
            on_change: called as `Catalog` says, after the open files were told.
            on_moved: called with the number of bytes of each read-ahead transfer.
            times: remembers the directory's modification time.

        Raises:
            SetupError: the folder of the cache cannot be used, or the environment names a proxy that cannot.
        """
        # A little less than reads wait, so that a read fails with the cause, and the next read fails at once.
        patience = settings.timeout * _FETCHING_SHARE
        self.settings = settings
        self.statistics, self.budget, self.timer = Statistics(), Budget(settings.memory), Timer()
        self._closing = closing
        self._runs = Runs()
        common = Common(create_context(), closing, patience, self.statistics)
        self.api = api = Api(settings.api_url, settings.key, common)
        self.store = Store(settings.api_url, common, lambda: api.is_here, self._runs.close_parked)
        self._urls = SignedUrls(api, settings.url_ttl, patience, self.statistics)

        def listed(resource_id: int) -> Resource | None:
            return catalog.latest.resources.get(resource_id)

        self.cache = _cache(settings, listed, lambda: api.is_presumed_lost, self.timer)
        self._listings = Listings(settings)
        ranges = Ranges(self.store, self._urls, listed, patience, closing)

        def changed(names: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
            readers.relisted(newer.touched_since(older, names), newer.resources)
            on_change(names, older, newer)

        self.catalog = catalog = Catalog(
            self._urls.list_resources,
            ranges.measure,
            settings.refresh,
            changed,
            times,
            self._listings.listed,
        )
        self._reactor = Reactor(self.timer, _ELSEWHERE_THREADS)
        self._lanes = (
            Lane(
                "wanted",
                self._reactor,
                threads=_WANTED_THREADS,
                most=IN_FLIGHT,
                stalled=STALLED,
                patience=_WANTED_PATIENCE if self.cache is None else 0.0,
            ),
            Lane("ahead", self._reactor, threads=_AHEAD_THREADS, most=_AHEAD),
        )
        disk = None if self.cache is None else self.cache.disk
        fetcher = Fetcher(ranges, self.statistics, on_moved, *self._lanes, self._runs, disk)
        means = Means(fetcher, self.budget, Blocks(), self.statistics, disk)
        self.readers = readers = Readers(means, catalog.young_until, self.timer)
        self.walks = WalkPrefetch(readers, catalog.snapshot, settings.siblings, self.timer)

    def load(
        self, progress: Progress, tell: Tell, on_replaced: Callable[[Resource], object] = _nothing
    ) -> None:
        """Get the first listing; `tell` is called if it is one that was kept on disk.

        From then on `on_replaced` is called as `DiskCache.start` says.

        Raises:
            ApiError, SetupError: as `Listings.begin`.
        """

        def load(patience: float) -> None:
            self.catalog.load(partial(self._urls.list_resources, patience=patience), progress)

        self._listings.begin(self.catalog, self.api, load, tell)
        self.start_cache(on_replaced)

    def take_over(self, listing: KeptListing) -> None:
        """Read by a listing that another process has fetched, unless ours is as new."""
        if self.catalog.take_over(listing):
            self._urls.listed_elsewhere(listing.known.shown)

    def start_cache(self, on_replaced: Callable[[Resource], object] = _nothing) -> None:
        """Begin to use the cache on disk, if it is on; `on_replaced` is called as `DiskCache.start` says."""
        if self.cache is not None:
            self.cache.start(self.readers, self.catalog, on_replaced)

    def settle(self) -> None:
        """Begin what goes on in the background, once the timer was started and somebody may read."""
        self.catalog.find_sizes()
        # If the listing is one that was kept on disk, this begins to probe the API.
        self.api.lost()

    def cache_state(self) -> "State | None":
        """The state of the cache on disk as it is; None if it is off."""
        return None if self.cache is None else self.cache.store.state

    def close(self) -> None:
        """End all requests and threads; reads that wait fail at once."""
        self._closing.set()
        for each in (self.walks, self.readers, *self._lanes, self._reactor, self.store, self.api, self.timer):
            each.close()
        self.finish()

    def finish(self) -> None:
        """Write what is still to be written to disk, for a moment; after that nothing more is."""
        self._listings.close()
        if self.cache is not None:
            self.cache.close()


def _cache(
    settings: ProjectSettings,
    listed: Callable[[int], Resource | None],
    is_offline: Callable[[], bool],
    timer: Timer,
) -> "DiskCache | None":
    """The cache on disk; None if it is off.

    Raises:
        SetupError: the folder cannot be used, or others could write to it.
    """
    if settings.cache is None:
        return None
    from empirical_fs.engine.disk_cache import DiskCache  # noqa: PLC0415 - see the import above

    return DiskCache(settings.cache, settings, listed, is_offline, timer)
