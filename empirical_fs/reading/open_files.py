"""The contents that are open, and what is known of those that were."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource
from empirical_fs.errors import BadAnswer
from empirical_fs.reading.content import Content
from empirical_fs.reading.following import pause
from empirical_fs.reading.handle import Handle, OnRead, nothing
from empirical_fs.reading.reader import Means, Reader
from empirical_fs.work.timer import Timer

_KERNEL_WINDOW = 128 * 2**10
"""The kernel's own (VM_READAHEAD_PAGES in Linux)."""


@dataclass(slots=True)
class _Open:
    reader: Reader
    handles: int = 0


class Readers:
    """One reader for each content that is open, and the last content of each resource.

    A content is remembered between opens because of its validators: the kernel may still hold pages of it,
    and no page of another version may join them. The lock guards both tables.
    """

    def __init__(self, means: Means, young_until: Callable[[int], float], timer: Timer) -> None:
        """Begin with nothing open.

        Args:
            means: what the readers share.
            young_until: tells of a resource until when the store may lag behind the listing, on the aging
                clock.
            timer: begins reads that are to wait.
        """
        self._means = means
        self.timer = timer
        self.habits = means.habits
        self.kernel_window = _KERNEL_WINDOW
        """Bytes that the kernel reads ahead of its readers."""
        self._young_until = young_until
        self._lock = threading.Lock()
        self._latest: dict[int, Content] = {}
        self._open: dict[Content, _Open] = {}

    @property
    def pause(self) -> float:
        """Seconds by which to put off a read that the kernel may have sent ahead of its reader."""
        return pause(self._means.fetcher.round_trip)

    @property
    def connections(self) -> int:
        """How many requests side by side the link rewards."""
        return self._means.fetcher.connections

    @property
    def memory(self) -> int:
        """Bytes that may be held of all files."""
        return self._means.budget.total

    def open(
        self,
        resource: Resource,
        on_first_read: OnRead,
        on_closed: OnRead = nothing,
        known: Content | None = None,
    ) -> Handle:
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
            return Handle(self, opened.reader, on_first_read, on_closed)

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Take note that the listing has something else of these ids than before: what is in `resources`."""
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
