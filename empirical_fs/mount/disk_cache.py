"""Opens the cache on disk as the settings say, and tells it which resource of which project is which."""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import httpx

from empirical_fs.api.resource import Resource
from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.gate import Gate
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.probing import no_answer
from empirical_fs.cache.store import State, Store
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.xattr_reads import ShareOnDisk
from empirical_fs.mount.cache_commands import CacheCommands
from empirical_fs.mount.no_cache import NoCache
from empirical_fs.mount.pins import Pins
from empirical_fs.mount.task_runner import Tasks
from empirical_fs.reading.confirming import Confirming
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.prefetch import Prefetch
from empirical_fs.reading.whole_files import WholeFiles
from empirical_fs.server import Server
from empirical_fs.settings.caching import CacheSettings
from empirical_fs.settings.settings import Settings
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Timer


class DiskCache(NoCache):
    """The cache of one mount."""

    disk: Disk
    whole_files: WholeFiles

    def __init__(
        self,
        wanted: CacheSettings,
        settings: Settings,
        listed: Callable[[int], Resource | None],
        timer: Timer,
    ) -> None:
        """Check the folder that is `wanted`; nothing is read or written before `start`.

        Raises:
            SetupError: the folder cannot be used, or others could write to it.
        """
        self._pins: Pins | None = None
        of_resource = keys_of(settings.api_url, settings.key)

        def key_of(resource_id: int) -> ResourceKey | None:
            resource = listed(resource_id)
            return None if resource is None else of_resource(resource)

        self._key_of = key_of
        limits = Limits(wanted.size, wanted.min_free.bytes, wanted.min_free.percent)
        self.store = Store(wanted.folder, limits)
        self._timer = timer
        self._confirming = Confirming(timer)
        self.disk = Disk(self.store, key_of, self._confirming)
        self.whole_files = WholeFiles(self.disk, timer)

    def start(self) -> None:
        """Begin to write."""
        self.store.start(self._timer.after)

    def state(self) -> State:
        """The state as it is."""
        return self.store.state

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
            "pinned_not_current": 0 if self._pins is None else len(self._pins.missing),
        }

    def tasks(self, catalog: Catalog, readers: Readers, timer: Timer) -> Tasks:
        """What answers the commands of the cache: prefetch, pin and the like; closed before the readers."""

        def resources() -> Mapping[int, Resource]:
            return catalog.latest.resources

        prefetch = Prefetch(readers, self.disk, lambda each: resources().get(each), timer)
        self._pins = Pins(self.store, prefetch, self._key_of, resources, timer)
        pins = self._pins

        def replaced(content: Content) -> None:
            self.disk.replaced(content)
            resource = resources().get(content.resource_id)
            if resource is not None and content.is_described_by(resource):
                # The listing may show why, or soon will; if not, the file is still another one.
                catalog.distrust(resource)
                pins.relisted([resource.id], resources())

        self._confirming.start(readers.ask_again, replaced)
        parts = (self.store, self._key_of, catalog, readers, self.disk, prefetch, self._pins)
        return Tasks(CacheCommands(*parts).begin, timer, prefetch.close, self._check)

    def _check(self) -> None:
        """Check that the disk answers.

        Raises:
            SetupError: it does not.
        """
        if self.store.gate.is_closed:
            raise no_answer(self.store.folder.path)

    def percentages(self, readers: Readers, threads: Pool) -> ShareOnDisk:
        """What tells how much of a file is on disk, by `threads`."""
        disk = self.disk

        def percent(resource: Resource) -> int:
            return disk.percent(resource, readers.latest(resource))

        return ShareOnDisk(percent, _Unstuck(threads, self.store.gate))

    def connected(self) -> None:
        """See to the pinned files, now that the mount is there."""
        if self._pins is not None:
            self._pins.start()

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Note that the listing changed for these ids; `resources` has those that it still has."""
        if self._pins is not None:
            self._pins.relisted(ids, resources)

    def close(self) -> None:
        """Write what waits to be written, for a moment."""
        self._confirming.close()
        self.whole_files.close()
        self.store.close()


class _Unstuck(Pool):
    """Submits work that asks the disk to `threads`, but does it at once if the disk does not answer.

    That takes no time, as all calls to the disk then fail, while the threads may all hang.
    """

    def __init__(self, threads: Pool, gate: Gate) -> None:
        super().__init__(0)
        self._threads = threads
        self._gate = gate

    def submit(self, work: Callable[[], object]) -> None:
        if self._gate.is_closed:
            work()
        else:
            self._threads.submit(work)


def keys_of(api_url: httpx.URL, key: str) -> Callable[[Resource], ResourceKey]:
    """A function that returns the key of a resource, as an API lists it for who has `key`."""
    origin, owner = _origin(api_url), _owner(key)
    # A key belongs to one project; where the API does not name it, the key tells projects apart.
    return lambda resource: ResourceKey(origin, resource.project_id or owner, resource.id)


def _origin(api_url: httpx.URL) -> str:
    """The API: its server, and where on that it is."""
    scheme, host, port = Server.of(api_url)
    return f"{scheme}://{host}:{port}{api_url.path.rstrip('/')}"


def _owner(key: str) -> str:
    return "key " + blake2b(key.encode(errors="surrogateescape"), digest_size=16).hexdigest()
