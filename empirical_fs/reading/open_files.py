"""The contents that are open, and the last content of each resource that was open."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource
from empirical_fs.errors import BadAnswer
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle, OnRead, nothing
from empirical_fs.reading.read_ahead_detection import pause
from empirical_fs.reading.reader import Reader
from empirical_fs.reading.supply import Means
from empirical_fs.work.timer import Timer

_KERNEL_WINDOW = 128 * 2**10
"""Linux's default read-ahead window in bytes (VM_READAHEAD_PAGES)."""


@dataclass(slots=True)
class _Open:
    reader: Reader
    handles: int = 0


class Readers:
    """One reader for each open content, and the last content of each resource.

    A content is remembered between opens because of its validators: the kernel may still cache pages of it,
    and pages of another version must not be added to them. The lock guards both tables.
    """

    def __init__(self, means: Means, young_until: Callable[[int], float], timer: Timer) -> None:
        """Begin with nothing open.

        Args:
            means: the objects that all readers share.
            young_until: returns until when the store may lag behind the listing for a resource id, on the
                aging clock.
            timer: begins the reads that are delayed.
        """
        self._means = means
        self.timer = timer
        self.habits = means.habits
        self.kernel_window = _KERNEL_WINDOW
        """Bytes that the kernel reads ahead of a program."""
        self._young_until = young_until
        self._lock = threading.Lock()
        self._latest: dict[int, Content] = {}
        self._open: dict[Content, _Open] = {}

    @property
    def pause(self) -> float:
        """Seconds by which to delay a read that may be the kernel's read-ahead."""
        return pause(self._means.fetcher.round_trip)

    @property
    def connections(self) -> int:
        """How many parallel requests give the best throughput, as measured."""
        return self._means.fetcher.connections

    @property
    def waited_at(self) -> float:
        """When a program last had to wait for bytes, on the monotonic clock."""
        return self._means.fetcher.waited_at

    def open_ids(self) -> set[int]:
        """The ids of the resources that are open."""
        with self._lock:
            return {content.resource_id for content in self._open}

    @property
    def open_handles(self) -> int:
        """How many handles are open, those included that only fetch ahead."""
        with self._lock:
            return sum(opened.handles for opened in self._open.values())

    @property
    def memory(self) -> int:
        """Bytes of memory that all files together may use."""
        return self._means.budget.total

    def open(
        self,
        resource: Resource,
        on_first_read: OnRead,
        on_closed: OnRead = nothing,
        known: Content | None = None,
    ) -> Handle:
        """Open a handle on the content that `resource` describes: on `known`, if it describes that.

        Args:
            resource: the resource as the listing has it.
            on_first_read: called at the first read of the handle.
            on_closed: called when the handle is closed.
            known: a content that the caller has of the resource.

        Raises:
            BadAnswer: the size of the resource is not known.
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
            return Handle(self, opened.reader, on_first_read, on_closed)

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Note that the listing changed for these ids; `resources` has those that it still has."""
        is_any_gone = False
        for resource_id in ids:
            content = self._latest.get(resource_id)
            if content is not None:
                content.relisted(resources.get(resource_id))
                is_any_gone = is_any_gone or resource_id not in resources
        if is_any_gone:
            with self._lock:
                self._latest = {
                    resource_id: content
                    for resource_id, content in self._latest.items()
                    if resource_id in resources or content in self._open
                }

    def ask_again(self, content: Content, on_answered: Callable[[], object]) -> None:
        """As `Fetcher.ask_again`."""
        self._means.fetcher.ask_again(content, on_answered)

    def redated(self, content: Content, resource: Resource) -> None:
        """Note that `resource` is `content` with another date, as the store has just shown."""
        content.redated(resource, self._young_until(resource.id))

    def end_lost(self, resource: Resource) -> None:
        """End a content that is not open, if the store's answers can no longer be tied to it.

        The next open then begins with whatever version the store has.
        """
        with self._lock:
            content = self._latest.get(resource.id)
            if content is not None and content.is_out_of_touch and content not in self._open:
                content.end()

    def latest(self, resource: Resource, known: Content | None = None) -> Content | None:
        """The content that `open` would use, if it was open before; None otherwise."""
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
        opened.reader.supply.close()

    def close(self) -> None:
        """Stop all reads; those that wait fail at once."""
        with self._lock:
            readers = [opened.reader for opened in self._open.values()]
        for reader in readers:
            reader.supply.close()
