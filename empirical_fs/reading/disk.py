"""What the disk cache has of the contents that are open: parts are filled from it, and kept in it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from empirical_fs.cache.cached import Cached
from empirical_fs.cache.keys import Identity, Listed, ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store
from empirical_fs.reading.content import Content
from empirical_fs.reading.part import Part
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.version import Validators

GRID = BLOCK
"""The cache keeps whole blocks of so many bytes."""


@dataclass(slots=True)
class _Open:
    """An open content; `cached` is None as long as its version on disk is not known."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards the other fields."""
    cached: Cached | None = None
    is_closed: bool = False


class Disk:
    """The disk cache, for contents. Its files are opened by the threads that fetch, not by those that answer.

    The lock guards the table of open contents.
    """

    def __init__(self, store: Store, key_of: Callable[[int], ResourceKey | None]) -> None:
        """Use `store`; `key_of` returns the key of a resource id, or None if the listing no longer has it."""
        self._store = store
        self._key_of = key_of
        self._lock = threading.Lock()
        self._open: dict[Content, _Open] = {}

    def open(self, content: Content) -> None:
        """Note that `content` is open: it may be filled from the disk and kept there until `close`."""
        with self._lock:
            self._open[content] = _Open()

    def close(self, content: Content) -> None:
        """Close its files."""
        with self._lock:
            opened = self._open.pop(content, None)
        if opened is None:
            return
        with opened.lock:
            opened.is_closed = True
            cached, opened.cached = opened.cached, None
        if cached is not None:
            cached.close()

    def fill(self, content: Content, part: Part) -> None:
        """Put the bytes that the disk has into `part`, from where it has been filled, up to the first gap.

        Raises:
            Closing: the bytes are no longer needed.
        """
        cached = self._cached(content)
        if cached is None:
            return
        while not part.has(part.stop):
            count = cached.read_into(part.start + part.arrived, part.room())
            if not count:
                break
            part.advance(count)

    def keep(self, content: Content, part: Part, start: int) -> None:
        """Hand the bytes of `part` from offset `start` over to be written; only whole blocks are.

        Only for the thread that fills the part.

        Raises:
            OSError: the part is in a temporary file that cannot be read.
        """
        cached = self._cached(content)
        if cached is None or not content.is_identified:
            return
        for block in range(-(-start // BLOCK), -(-part.stop // BLOCK)):
            begin, end = block * BLOCK, min((block + 1) * BLOCK, content.size)
            if end > part.stop or not cached.keep(block, b"".join(part.filled(begin, end))):
                break
        if content.has_settled:
            cached.note_listed(_listed(content))

    def borrowed(self, content: Content) -> Cached | None:
        """The version on disk, which the caller closes; None as for `fill`. May block for the disk."""
        opened = self._open.get(content)
        if opened is None or self._cached(content) is None:
            return None
        with opened.lock:
            if opened.cached is not None:
                self._store.retain(opened.cached)
            return opened.cached

    def _cached(self, content: Content) -> Cached | None:
        """The version on disk; None if it is not known yet which one it is, or if the content is closed."""
        opened = self._open.get(content)
        if opened is None:
            return None
        with opened.lock:
            if opened.cached is None and not opened.is_closed:
                opened.cached = self._found(content)
            return opened.cached

    def _found(self, content: Content) -> Cached | None:
        key = self._key_of(content.resource_id)
        if key is None:
            return None
        validators = content.validators
        if validators is None:
            return self._recalled(key, content)
        if not content.is_identified:
            return None
        identity = Identity(content.size, validators.if_match, content.updated_ns)
        return self._store.version(key, identity, _texts(validators))

    def _recalled(self, key: ResourceKey, content: Content) -> Cached | None:
        """The version that was last seen listed as the content is, of which nobody has had an answer yet."""
        if content.is_young:
            return None
        cached = self._store.listed(key, _listed(content))
        if cached is not None and not content.recall(Validators(**cached.validators)):
            cached.close()
            return None
        return cached


def on_grid(extent: Range, size: int) -> Range:
    """The blocks of the cache that `extent` touches, in a content of `size` bytes."""
    return Range(extent.start // GRID * GRID, min(-(-extent.stop // GRID) * GRID, size))


def _listed(content: Content) -> Listed:
    return Listed(content.size, content.updated_ns)


def _texts(validators: Validators) -> dict[str, str | None]:
    return {
        "etag": validators.etag,
        "version_id": validators.version_id,
        "last_modified": validators.last_modified,
    }
