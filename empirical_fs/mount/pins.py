"""Keeps pinned files current: what the listing shows in place of a pinned version is fetched and pinned."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from empirical_fs.api.resource import Resource
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.keys import ResourceKey
from empirical_fs.cache.store import Store
from empirical_fs.errors import NoThread
from empirical_fs.reading.batch import Batch
from empirical_fs.reading.prefetch import Prefetch
from empirical_fs.work.jobs import Job
from empirical_fs.work.timer import Timer

_AGAIN_SECONDS = 60.0
"""When to try again what could not be fetched."""
_LOOK_SECONDS = 1.0
"""How often to look whether a fetch has ended."""

log = logging.getLogger(__name__)


class Pins:
    """The pinned resources of one mount.

    The lock guards which are pinned, and which are to be looked at. The disk is used by the job's thread, by
    that of the prefetch, and by those of commands.
    """

    def __init__(
        self,
        store: Store,
        prefetch: Prefetch,
        key_of: Callable[[int], ResourceKey | None],
        resources: Callable[[], Mapping[int, Resource]],
        timer: Timer,
    ) -> None:
        """Keep the pinned of `resources()` in `store`; `key_of` returns the key of a resource id."""
        self._store = store
        self._prefetch = prefetch
        self._key_of = key_of
        self._resources = resources
        self._timer = timer
        self._job = Job("keeping pinned files current", self._look, patience=float("inf"))
        self._lock = threading.Lock()
        self._digests: dict[int, str] | None = None
        """The digests of the pinned resources by their ids; None until the disk was asked."""
        self._begun: set[int] = set()
        """The ids of those that are being fetched."""
        self._missing: dict[int, str] = {}
        """Why pinned files are not current, by their ids."""
        self._due: set[int] = set()
        self._gone: set[int] = set()

    @property
    def not_current(self) -> int:
        """How many pinned files are not known to be there in the version that the listing has."""
        with self._lock:
            return len(self._missing.keys() | self._due | self._begun)

    def start(self) -> None:
        """Find out what is pinned, and fetch what is missing of it, in the background."""
        self._job.ask()

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Note that the listing changed for these ids; `resources` has those that it still has."""
        with self._lock:
            if self._digests is None:
                return  # all are looked at soon
            touched = {each for each in ids if each in self._digests}
            self._due |= {each for each in touched if each in resources}
            self._gone |= {each for each in touched if each not in resources}
        if touched:
            self._job.ask()

    def found(self, resource: Resource, cached: Cached) -> None:
        """Pin a version that is being fetched.

        Raises:
            OSError: that cannot be recorded.
        """
        cached.pin()
        with self._lock:
            if self._digests is not None:
                self._digests[resource.id] = cached.place.resource

    def kept(self, resource: Resource, cached: Cached) -> None:
        """Unpin the other versions of a resource of which this one is on disk now.

        Raises:
            OSError: that cannot be recorded.
        """
        self.found(resource, cached)
        with self._lock:
            self._begun.discard(resource.id)
            self._missing.pop(resource.id, None)
        for version in self._store.pinned(cached.place.resource) - {cached.place.version}:
            self._store.unpin(cached.place.resource, version)

    def forget(self, digests: set[str]) -> None:
        """Keep these resources (digests) no longer; their pins on disk are the caller's."""
        with self._lock:
            if self._digests is not None:
                self._digests = {each: it for each, it in self._digests.items() if it not in digests}
                self._missing = {each: why for each, why in self._missing.items() if each in self._digests}

    def unpin(self, digest: str) -> bool:
        """Unpin all versions of a resource; whether one was pinned.

        Raises:
            OSError: that cannot be recorded.
        """
        self.forget({digest})
        pinned = self._store.pinned(digest)
        for version in pinned:
            self._store.unpin(digest, version)
        return bool(pinned)

    def _look(self) -> None:
        """See to the pinned resources that have changed; the first time, to all."""
        try:
            if self._digests is None:
                self._find()
            self._let_go()
            self._fetch()
        except (OSError, NoThread) as error:
            log.debug("pinned files are looked at later: %s", error)
            self._timer.after(_AGAIN_SECONDS, self._job.ask)

    def _find(self) -> None:
        pinned, found = self._store.all_pinned(), dict[int, str]()
        for resource_id in self._resources() if pinned else ():
            key = self._key_of(resource_id)
            if key is not None and (digest := key.digest) in pinned:
                found[resource_id] = digest
        with self._lock:
            self._digests, self._due = found, set(found)

    def _let_go(self) -> None:
        """Unpin what the API has deleted: it may be evicted like everything else."""
        with self._lock:
            gone, self._gone = self._gone, set()
            digests = dict(self._digests or {})
        for each in gone:
            if each not in self._resources() and each in digests:
                self.unpin(digests[each])

    def _fetch(self) -> None:
        with self._lock:
            due, self._due = self._due, set()
        resources = self._resources()
        sizes = {each: resources[each].size or 0 for each in due if each in resources}
        if not sizes:
            return
        with self._lock:
            self._begun |= {each for each, size in sizes.items() if size}
        try:
            batch = self._prefetch.begin(sizes, self, is_last=True)
        except NoThread:
            with self._lock:
                self._due |= due
            raise
        self._see_to(batch)

    def _see_to(self, batch: Batch) -> None:
        """Once a batch has ended, have another try at what failed."""
        if not batch.ended.is_set():
            self._timer.after(_LOOK_SECONDS, lambda: self._see_to(batch))
        elif batch.failures or batch.stopped_by is not None:
            with self._lock:
                left = self._begun & batch.sizes.keys() & (self._digests or {}).keys()
                why = {each: batch.failures.get(each) or batch.stopped_by or "" for each in left}
                news = left - self._missing.keys()
                self._begun -= batch.sizes.keys()
                self._due |= left
                self._missing |= why
            if news:
                log.warning("%d of the pinned files cannot be kept current: %s", len(news), why[min(news)])
            self._timer.after(_AGAIN_SECONDS, self._job.ask)
