"""What a mount does with its cache on disk: its commands, pinned files, and files that the kernel reads."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from empirical_fs.api.resource import Resource
from empirical_fs.cache.folder_probe import no_answer
from empirical_fs.cache.gate import Gate
from empirical_fs.engine.disk_cache import DiskCache
from empirical_fs.engine.engine import Engine
from empirical_fs.fuse.xattr_reads import ShareOnDisk
from empirical_fs.mount.cache_commands import CacheCommands
from empirical_fs.mount.null_cache import NullCache
from empirical_fs.mount.pins import Pins
from empirical_fs.mount.task_runner import Tasks
from empirical_fs.reading.prefetch import Prefetch
from empirical_fs.reading.redated_versions import RedatedVersions
from empirical_fs.reading.whole_files import WholeFiles
from empirical_fs.reading.young_versions import YoungVersions
from empirical_fs.work.threads import Pool


class MountedCache(NullCache):
    """The cache of one mount."""

    whole_files: WholeFiles

    def __init__(self, cache: DiskCache, engine: Engine) -> None:
        """Serve the mount of `engine` with its `cache`; nothing begins yet."""
        super().__init__(engine.timer)
        catalog = engine.catalog

        def resources() -> Mapping[int, Resource]:
            return catalog.latest.resources

        def listed(resource_id: int) -> Resource | None:
            return resources().get(resource_id)

        self._cache, self._engine, self._resources = cache, engine, resources
        self.whole_files = WholeFiles(cache.disk, engine.timer)
        young = YoungVersions(engine.readers, cache.disk, listed, engine.timer)
        self._prefetch = Prefetch(
            engine.readers,
            cache.disk,
            young,
            listed,
            catalog.measure,
        )
        self._redated = RedatedVersions(
            listed, cache.disk.may_have_redated, young.confirm, engine.timer, time.monotonic
        )
        self._pins = Pins(cache.store, self._prefetch, cache.key_of, resources, engine.timer)

    def report(self) -> dict[str, Any]:
        """The state for `--status`: sizes in bytes, counts of blocks."""
        return {**self._cache.report(), "pinned_not_current": self._pins.not_current}

    def tasks(self) -> Tasks:
        """What answers the commands of the cache: prefetch, pin and the like; closed before the readers."""
        cache, engine = self._cache, self._engine
        parts = (cache.store, cache.key_of, engine.catalog, engine.readers, cache.disk)
        commands = CacheCommands(*parts, self._prefetch, self._pins)
        return Tasks(commands.begin, engine.timer, self._stop, self._check)

    def replaced(self, resource: Resource) -> None:
        """Note that the store has another version of a file than the one on disk."""
        self._pins.relisted([resource.id], self._resources())

    def _stop(self) -> None:
        self._prefetch.close()
        self._redated.close()

    def _check(self) -> None:
        """Check that the disk answers.

        Raises:
            SetupError: it does not.
        """
        store = self._cache.store
        if store.gate.is_closed:
            raise no_answer(store.folder.path)

    def percentages(self, threads: Pool) -> ShareOnDisk:
        """What tells how much of a file is on disk, by `threads`."""
        disk, readers, catalog = self._cache.disk, self._engine.readers, self._engine.catalog

        def percent(resource: Resource) -> int:
            if catalog.is_to_be_measured(resource):
                return 0
            return disk.percent(resource, readers.latest(resource))

        return ShareOnDisk(percent, _Unstuck(threads, self._cache.store.gate))

    def connected(self) -> None:
        """See to the pinned files, now that the mount is there."""
        self._pins.start()

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Note that the listing changed for these ids; `resources` has those that it still has."""
        ids = list(ids)
        self._pins.relisted(ids, resources)
        self._redated.relisted(ids)

    def close(self) -> None:
        """Close the files that the kernel reads by itself."""
        self.whole_files.close()


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
