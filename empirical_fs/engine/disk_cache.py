"""Opens the cache on disk as the settings say, and tells it which resource of which project is which."""

from collections.abc import Callable
from typing import Any

import httpx

from empirical_fs.api.resource import Resource
from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.store import Store
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.engine.identity import origin_of, owner_of
from empirical_fs.reading.confirming import Confirming
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.open_files import Readers
from empirical_fs.settings.caching import CacheSettings
from empirical_fs.settings.settings import ProjectSettings
from empirical_fs.work.timer import Timer

OnReplaced = Callable[[Resource], object]
"""Called when the store has another version of a file than the one on disk, though the listing has not."""


class DiskCache:
    """The cache of one project."""

    def __init__(
        self,
        wanted: CacheSettings,
        settings: ProjectSettings,
        listed: Callable[[int], Resource | None],
        is_offline: Callable[[], bool],
        timer: Timer,
    ) -> None:
        """Check the folder that is `wanted`; nothing is read or written before `start`.

        Args:
            wanted: where it is, and what it may take.
            settings: they have the API that lists the resources, and the key with which they are listed.
            listed: returns a resource of the latest listing by its id.
            is_offline: returns whether that listing is one that an earlier mount has kept.
            timer: begins what is delayed.

        Raises:
            SetupError: the folder cannot be used, or others could write to it.
        """
        of_resource = keys_of(settings.api_url, settings.key)

        def key_of(resource_id: int) -> ResourceKey | None:
            resource = listed(resource_id)
            return None if resource is None else of_resource(resource)

        self.key_of = key_of
        """Returns the key of a listed resource by its id; None if it is not listed."""
        limits = Limits(wanted.size, wanted.min_free.bytes, wanted.min_free.percent)
        self.store = Store(wanted.folder, limits)
        self._timer = timer
        self.confirming = Confirming(timer)
        self.disk = Disk(self.store, key_of, self.confirming, is_offline)

    def start(self, readers: Readers, catalog: Catalog, on_replaced: OnReplaced) -> None:
        """Begin to write, and to have versions confirmed that are read from disk."""

        def replaced(content: Content) -> None:
            self.disk.replaced(content)
            resource = catalog.latest.resources.get(content.resource_id)
            if resource is not None and content.is_described_by(resource):
                # The listing may show why, or soon will; if not, the file is still another one.
                catalog.distrust(resource)
                on_replaced(resource)

        self.confirming.start(readers.ask_again, replaced)
        self.store.start(self._timer.after)

    def report(self) -> dict[str, Any]:
        """The state for `--status`: sizes in bytes, counts of blocks."""
        state = self.store.state
        return {
            "folder": str(self.store.folder.path),
            "used": state.used,
            "reserved": state.reserved,
            "limit": state.limit,
            "bytes_read": state.counts.bytes_read,
            "hits": state.counts.hits,
            "misses": state.counts.misses,
            "blocks_damaged": state.counts.blocks_damaged,
            "blocks_written": state.counts.blocks_kept,
            "blocks_dropped": state.counts.blocks_dropped,
            "files_left_alone": state.counts.files_off,
            "evictions": state.counts.evictions,
            "bytes_evicted": state.counts.bytes_evicted,
            "paused": state.paused,
        }

    def close(self) -> None:
        """Write what waits to be written, for a moment."""
        self.confirming.close()
        self.store.close()


def keys_of(api_url: httpx.URL, key: str) -> Callable[[Resource], ResourceKey]:
    """A function that returns the key of a resource, as an API lists it for who has `key`."""
    origin, owner = origin_of(api_url), owner_of(key)
    # A key belongs to one project; where the API does not name it, the key tells projects apart.
    return lambda resource: ResourceKey(origin, resource.project_id or owner, resource.id)
