"""The contents that are open, and what is known of those that were."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from empirical_fs.api.resource import Resource
from empirical_fs.errors import BadAnswer, EmpiricalError
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor, Taken
from empirical_fs.reading.following import Following, pause
from empirical_fs.reading.habits import is_whole
from empirical_fs.reading.pending_read import Cancel, Waiter
from empirical_fs.reading.read_ahead import REORDERING
from empirical_fs.reading.reader import Means, Reader
from empirical_fs.work.timer import Alarm, Timer

FIRST_LOOK = 256 * 2**10
"""Bytes of the beginning of a file that come by one request for a reader who asks for many at once."""

_KERNEL_WINDOW = 128 * 2**10
"""The kernel's own (VM_READAHEAD_PAGES in Linux)."""


def nothing(_handle: "Handle") -> None:
    """Does nothing: nobody minds how a handle was read."""


@dataclass(slots=True)
class _Open:
    reader: Reader
    handles: int = 0


class Handle:
    """One open file. It may be read by several threads at once.

    The lock guards what is known of the first reads, and those that wait for their time.
    """

    def __init__(
        self, readers: "Readers", reader: Reader, on_first_read: "OnRead", on_closed: "OnRead"
    ) -> None:
        """Read through `reader`, with a cursor of our own."""
        self.content = reader.content
        self.read_bytes = 0
        """Bytes that were asked for by now, roughly: threads side by side may lose some."""
        self.head = 0
        """Bytes from the beginning on that were asked for without a gap, as roughly."""
        self._readers = readers
        self._reader = reader
        self._cursor = Cursor(reader.content.size)
        self._on_first_read: OnRead | None = on_first_read
        self._on_closed = on_closed
        self._lock = threading.Lock()
        self._following = Following()

    @property
    def is_read_whole(self) -> bool:
        """Whether all of it was asked for, but for a little."""
        return is_whole(self.content.size, self.read_bytes)

    def take_ready(self, start: int, size: int) -> Taken | None:
        """The bytes from `start` if all are at hand; the part takes them back."""
        taken = self._reader.take_ready(self._cursor, start, size)
        if taken is not None:
            self._note(start, size)
        return taken

    def read(self, start: int, size: int, waiter: Waiter) -> Cancel:
        """Give `waiter` the bytes from `start`, now or when they have come, fewer only at the end.

        Bytes that the reader may never come to, for the kernel asks ahead of it, are asked for a moment
        later: until then it may have closed the file.
        """
        on_first_read, self._on_first_read = self._on_first_read, None
        if on_first_read is not None:
            self._look_ahead(start, size)
            on_first_read(self)
        self._note(start, size)
        noted = _Noted(waiter, self)
        with self._lock:
            is_ahead = self._following.begin(noted, start, start + size)
        seconds = self._readers.pause if is_ahead and self._readers.habits.trusted_at else 0
        if not seconds or self._reader.is_coming(start, size):
            return self._reader.read(self._cursor, start, size, noted)
        held = _Held(partial(self._reader.read, self._cursor, start, size, noted))
        held.begin_later(self._readers.timer, seconds)
        return held.cancel

    def over(self, noted: "_Noted") -> None:
        """Note that a read is over."""
        with self._lock:
            self._following.end(noted)

    def fetch_ahead(self, stop: int | None = None) -> bool:
        """Begin to fetch the bytes before `stop`, or all; False if there is no memory for any."""
        with self._lock:
            self._following.trust()
        return self._reader.fetch_ahead(self._cursor, self.content.size if stop is None else stop)

    def close(self) -> None:
        """Release the content; what was fetched ahead is dropped with the last handle."""
        self._on_closed(self)
        self._readers.habits.closed(self.content.size, self.read_bytes, self.head)
        self._reader.leave(self._cursor)
        self._readers.release(self.content)

    def _note(self, start: int, size: int) -> None:
        self.read_bytes += size
        if start <= self.head + REORDERING:
            self.head = max(self.head, start + size)

    def _look_ahead(self, start: int, size: int) -> None:
        """Have the beginning of the file come by one request, if the kernel makes more of a large read."""
        is_large = self._readers.kernel_window <= size < min(FIRST_LOOK, self.content.size)
        if is_large and not start and not self._reader.is_coming(0, FIRST_LOOK):
            self._reader.fetch_ahead(self._cursor, FIRST_LOOK)


OnRead = Callable[[Handle], object]
"""Told once, in the thread that reads or closes, that bytes of a handle are asked for, or no more."""


class _Noted:
    """Who reads, and a handle that hears that the read is over."""

    __slots__ = ("_handle", "_waiter")

    def __init__(self, waiter: Waiter, handle: Handle) -> None:
        self._waiter = waiter
        self._handle = handle

    def give(self, pieces: list[memoryview]) -> None:
        # Before the answer: the kernel's next read comes while the reader copies this one.
        self._handle.over(self)
        self._waiter.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        self._handle.over(self)
        self._waiter.fail(error)


class _Held:
    """A read that begins later, unless it is cancelled before. The lock guards which of the two was first."""

    def __init__(self, begin: Callable[[], Cancel]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._alarm: Alarm | None = None
        self._cancel: Cancel | None = None
        self._is_cancelled = False

    def begin_later(self, timer: Timer, seconds: float) -> None:
        self._alarm = timer.after(seconds, self._begin_now)

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            cancel = self._cancel
        if self._alarm is not None:
            self._alarm.cancel()
        if cancel is not None:
            cancel()

    def _begin_now(self) -> None:
        if self._is_cancelled:
            return
        begun = self._begin()
        with self._lock:
            self._cancel = begun
            is_late = self._is_cancelled
        if is_late:
            begun()


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
