"""What the disk cache has of the contents that are open: parts are filled from it, and kept in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from empirical_fs.api.resource import Resource
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.keys import Identity, Listed, ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store
from empirical_fs.reading.confirming import Confirming
from empirical_fs.reading.content import Content
from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.version import Validators

_OPENING_SECONDS = 1.0
"""How long a thread waits for another one that opens the same files."""


class OnDisk:
    """What the disk has of one content.

    The lock guards the version on disk, which is None as long as it is not known which one it is.
    """

    rest = BLOCK
    """So many missing bytes of a part are fetched though nobody waits for them: a block is kept whole."""

    def __init__(
        self,
        store: Store,
        key: ResourceKey,
        content: Content,
        confirming: Confirming,
        is_offline: Callable[[], bool],
    ) -> None:
        """Open no file yet: the threads that fetch do, not those that answer the kernel."""
        self.users = 0
        """Guarded by the lock of the `Disk`."""
        self._store = store
        self._key = key
        self._content = content
        self._confirming = confirming
        self._is_offline = is_offline
        self._lock = threading.Lock()
        self._cached: Cached | None = None

    def widened(self, extent: Range) -> Range:
        """The whole blocks that `extent` touches."""
        return on_grid(extent, self._content.size)

    def take(self, start: int, stop: int) -> list[memoryview] | None:
        """The bytes, if they are verified and in the kernel's memory; never waits for the disk.

        Only once a thread that fetches has opened the files.
        """
        cached = self._cached
        if cached is None:
            return None
        found = memoryview(bytearray(stop - start))
        return [found] if cached.read_from_memory(start, found) else None

    def give_back(self) -> None:
        """End the use of bytes that `take` returned: they are a copy."""

    def fill(self, part: Part) -> None:
        """Put the bytes that the disk has into `part`, from where it has been filled, up to the first gap.

        Raises:
            Closing: the bytes are no longer needed.
        """
        # Who waits for the part asks for another one, which comes from the network.
        with self._store.gate.telling(part.replace):
            cached = self.version()
            if cached is not None:
                cached.expect(part.start + part.arrived, part.stop)
                while not part.has(part.stop):
                    count = cached.read_into(part.start + part.arrived, part.room())
                    if not count:
                        break
                    part.advance(count)
        if cached is not None:
            self.note_listed(cached)
        self._store.tallies.looked_for(is_there=part.has(part.stop))

    def keep(self, part: Part, start: int) -> int:
        """Hand the bytes of `part` from offset `start` over to be written; only whole blocks are.

        Only for the thread that fills the part. Returns the offset from which on nothing was taken: the end
        of the part, unless there is no room in the queue of the disk, or nothing of it is written at all.

        Raises:
            OSError: the part is in a temporary file that cannot be read.
        """
        cached = self.version()
        if cached is None or not self._content.is_identified:
            return start
        for block in range(-(-start // BLOCK), -(-part.stop // BLOCK)):
            begin, end = block * BLOCK, min((block + 1) * BLOCK, self._content.size)
            if end > part.stop:
                break
            if not cached.keep(block, b"".join(part.filled(begin, end))):
                return begin
        self.note_listed(cached)
        return part.stop

    @property
    def is_queue_full(self) -> bool:
        """Whether the disk takes nothing only because too much waits to be written."""
        return self._store.room_in_queue < BLOCK

    def note_listed(self, cached: Cached) -> None:
        """Record how the listing describes the content, if the store has told that for sure."""
        if self._content.has_settled:
            cached.note_listed(self._listed)

    @property
    def is_known(self) -> bool:
        """Whether it is known which version this content is: the store or a listing has told."""
        return self._cached is not None or self._content.validators is not None

    @property
    def may_be_redated(self) -> bool:
        """Whether a version of another date is there that may be this content: the store's ETag tells."""
        return not self.is_known and self._store.has_strong(self._key, self._content.size)

    def version(self) -> Cached | None:
        """The version on disk; None if it is not known yet which one it is. May open files.

        Also None if another thread looks for it, and the disk does not answer that.
        """
        if self._cached is not None:
            return self._cached
        if not self._lock.acquire(timeout=0 if self._store.gate.is_closed else _OPENING_SECONDS):
            return None
        try:
            if self._cached is not None:
                return self._cached
            self._cached = found = self._found()
        finally:
            self._lock.release()
        if found is not None:
            self._confirming.served(self._content)
        return found

    def percent(self) -> int | None:
        """How much is on disk, rounded down; None if it is not known which version that is."""
        cached = self.version()
        return None if cached is None else cached.percent

    def borrowed(self) -> Cached | None:
        """The version on disk, which the caller closes; None if it is not known which one it is."""
        cached = self.version()
        if cached is not None:
            cached.retain()
        return cached

    def close(self) -> None:
        """Close the files. Nothing else is called afterwards."""
        if self._cached is not None:
            if self._content.is_over:
                self._cached.discard()
            self._cached.close()

    @property
    def _listed(self) -> Listed:
        return Listed(self._content.size, self._content.updated_ns)

    def _found(self) -> Cached | None:
        content, validators = self._content, self._content.validators
        if validators is None:
            return self._recalled()
        if not content.is_identified:
            return None
        identity = Identity(content.size, validators.if_match, content.updated_ns)
        return self._store.version(self._key, identity, validators._asdict())

    def _recalled(self) -> Cached | None:
        """The version that was last seen listed as the content is, of which nobody has had an answer yet."""
        if self._content.is_young and not self._is_offline():
            return None
        cached = self._store.listed(self._key, self._listed)
        if cached is not None and not self._content.recall(Validators(**cached.validators)):
            cached.close()
            return None
        return cached


class Disk:
    """The disk cache, for contents. The lock guards the table of contents in use, and their users."""

    def __init__(
        self,
        store: Store,
        key_of: Callable[[int], ResourceKey | None],
        confirming: Confirming,
        is_offline: Callable[[], bool],
    ) -> None:
        """Use `store`; `key_of` returns the key of a resource id, or None if the listing no longer has it.

        `confirming` hears of contents whose bytes come from disk. While it `is_offline`, the listing is one
        that was kept, which no store can lag behind.
        """
        self.store = store
        """The cache itself."""
        self._key_of = key_of
        self._confirming = confirming
        self._is_offline = is_offline
        self._lock = threading.Lock()
        self._in_use: dict[Content, OnDisk] = {}

    def open(self, content: Content) -> OnDisk | None:
        """Keep the files of `content` open until `close`; None if the listing no longer has its resource."""
        with self._lock:
            found = self._in_use.get(content)
            if found is None:
                key = self._key_of(content.resource_id)
                if key is None:
                    return None
                found = self._in_use[content] = self._of(key, content)
            found.users += 1
            return found

    def close(self, content: Content) -> None:
        """Close the files of `content`, unless others use them."""
        with self._lock:
            found = self._in_use.get(content)
            if found is None:
                return
            found.users -= 1
            if found.users:
                return
            del self._in_use[content]
        found.close()

    def cached(self, content: Content) -> Cached | None:
        """What the disk has of a content that the caller has open; None if it is not known yet."""
        on_disk = self._in_use.get(content)
        return None if on_disk is None else on_disk.version()

    def note_listed(self, content: Content, cached: Cached) -> None:
        """As `OnDisk.note_listed`, of a content that the caller has open."""
        on_disk = self._in_use.get(content)
        if on_disk is not None:
            on_disk.note_listed(cached)

    def replaced(self, content: Content) -> None:
        """Remove what is on disk of a content of which the store has another version now.

        If the content is open, that is done when it is closed.
        """
        key = self._key_of(content.resource_id)
        if key is None or content in self._in_use:
            return
        on_disk = self._of(key, content)
        on_disk.version()
        on_disk.close()

    def may_have_redated(self, resource: Resource) -> bool:
        """Whether a version is on disk that may be the listed one, which was seen with another date only.

        It reads the disk; the store's ETag tells whether it is.
        """
        key = self._key_of(resource.id)
        if key is None or not resource.size:
            return False
        found = self.store.listed(key, Listed(resource.size, resource.updated_ns))
        if found is not None:
            found.close()
            return False
        return self.store.has_strong(key, resource.size)

    def percent(self, resource: Resource, latest: Content | None = None) -> int:
        """How much of the version that `resource` describes is on disk, rounded down; it reads the disk.

        `latest` is the content that was last open as that, if there was one: a young version is on disk
        before it is certain that the listing means it.
        """
        if not resource.size:
            return 100 if resource.is_sized else 0
        with self._lock:
            in_use = [each for each in self._in_use if each.resource_id == resource.id]
        for content in in_use:
            with self.of(content) as on_disk:
                if on_disk is not None and content.is_as_listed(resource):
                    percent = on_disk.percent()
                    if percent is not None:
                        return percent
        key = self._key_of(resource.id)
        if key is not None and latest is not None:
            on_disk = self._of(key, latest)
            try:
                return on_disk.percent() or 0
            finally:
                on_disk.close()
        found = None if key is None else self.store.listed(key, Listed(resource.size, resource.updated_ns))
        if found is None:
            return 0
        try:
            return found.percent
        finally:
            found.close()

    def _of(self, key: ResourceKey, content: Content) -> OnDisk:
        return OnDisk(self.store, key, content, self._confirming, self._is_offline)

    @contextmanager
    def of(self, content: Content) -> Iterator[OnDisk | None]:
        """What the disk has of an open content, to be used in the context even if it is closed meanwhile."""
        with self._lock:
            found = self._in_use.get(content)
            if found is not None:
                found.users += 1
        try:
            yield found
        finally:
            if found is not None:
                self.close(content)


def on_grid(extent: Range, size: int) -> Range:
    """The whole blocks of the cache that `extent` touches, in a content of `size` bytes."""
    return Range(extent.start // BLOCK * BLOCK, min(-(-extent.stop // BLOCK) * BLOCK, size))
