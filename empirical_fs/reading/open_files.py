"""The contents that are open, and what is known of those that were."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource
from empirical_fs.errors import BadAnswer
from empirical_fs.reading.content import Content
from empirical_fs.reading.reader import Cancel, Cursor, Means, Reader, Taken, Waiter


@dataclass(slots=True)
class _Open:
    reader: Reader
    handles: int = 0


class Handle:
    """One open file. It may be read by several threads at once."""

    def __init__(self, readers: "Readers", reader: Reader, on_first_read: "OnFirstRead") -> None:
        """Read through `reader`, with a cursor of our own."""
        self.content = reader.content
        self._readers = readers
        self._reader = reader
        self._cursor = Cursor(reader.content.size)
        self._on_first_read: OnFirstRead | None = on_first_read

    def take_ready(self, start: int, size: int) -> Taken | None:
        """The bytes from `start` if all are at hand; the part takes them back."""
        return self._reader.take_ready(self._cursor, start, size)

    def read(self, start: int, size: int, waiter: Waiter) -> Cancel:
        """Give `waiter` the bytes from `start`, now or when they have come, fewer only at the end."""
        on_first_read, self._on_first_read = self._on_first_read, None
        if on_first_read is not None:
            on_first_read(self)
        return self._reader.read(self._cursor, start, size, waiter)

    def fetch_ahead(self) -> bool:
        """Begin to fetch the whole content; False if there is no memory for it."""
        return self._reader.fetch_ahead(self._cursor)

    def close(self) -> None:
        """Release the content; what was fetched ahead is dropped with the last handle."""
        self._reader.leave(self._cursor)
        self._readers.release(self.content)


OnFirstRead = Callable[[Handle], None]
"""Told once, in the thread that reads, that bytes of a handle are asked for."""


class Readers:
    """One reader for each content that is open, and the last content of each resource.

    A content is remembered between opens because of its validators: the kernel may still hold pages of it,
    and no page of another version may join them. The lock guards both tables.
    """

    def __init__(self, means: Means, young_until: Callable[[int], float]) -> None:
        """Begin with nothing open.

        Args:
            means: what the readers share.
            young_until: tells of a resource until when the store may lag behind the listing, on the aging
                clock.
        """
        self._means = means
        self._young_until = young_until
        self._lock = threading.Lock()
        self._latest: dict[int, Content] = {}
        self._open: dict[Content, _Open] = {}

    def open(self, resource: Resource, on_first_read: OnFirstRead, known: Content | None = None) -> Handle:
        """A handle on the content as `resource` describes it: on `known`, if that is one.

        Raises:
            BadAnswer: its size is not known.
        """
        if resource.size is None:
            raise BadAnswer(f"the size of resource {resource.id} is not known")
        with self._lock:
            content = before = self._latest.get(resource.id)
            if known is not None and known.is_as_listed(resource):
                content = known
            elif content is None or not content.is_as_listed(resource):
                until = self._young_until(resource.id)
                content = Content(resource, resource.size, before=before, young_until=until)
                self._latest[resource.id] = content
            opened = self._open.get(content)
            if opened is None:
                opened = self._open[content] = _Open(Reader(content, self._means))
            opened.handles += 1
            return Handle(self, opened.reader, on_first_read)

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Take note that the listing has something else of these ids than before: what is in `resources`."""
        for resource_id in ids:
            content = self._latest.get(resource_id)
            if content is not None:
                content.relisted(resources.get(resource_id))

    def ask_again(self, content: Content, on_answered: Callable[[], object]) -> None:
        """As `Fetcher.ask_again`."""
        self._means.fetcher.ask_again(content, on_answered)

    def redated(self, content: Content, resource: Resource) -> None:
        """Take note that `resource` is `content` under another date, as the store has just shown."""
        content.redated(resource, self._young_until(resource.id))

    def end_lost(self, resource: Resource) -> None:
        """End a content that nobody has open, if the store's answers cannot be tied to it any more.

        Whoever opens the file then begins with what the store has.
        """
        with self._lock:
            content = self._latest.get(resource.id)
            if content is not None and content.is_out_of_touch and content not in self._open:
                content.end()

    def latest(self, resource: Resource, known: Content | None = None) -> Content | None:
        """The content that `open` would open, if it was open before."""
        if known is not None and known.is_as_listed(resource):
            return known
        content = self._latest.get(resource.id)
        return content if content is not None and content.is_as_listed(resource) else None

    def release(self, content: Content) -> None:
        """Close one handle of `content`."""
        with self._lock:
            opened = self._open[content]
            opened.handles -= 1
            if opened.handles:
                return
            del self._open[content]
        opened.reader.close()

    def close(self) -> None:
        """Stop every read; those who wait get an error at once."""
        with self._lock:
            readers = [opened.reader for opened in self._open.values()]
        for reader in readers:
            reader.close()
