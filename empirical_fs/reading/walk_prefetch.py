"""Opens files, and fetches files before a directory walk reaches them."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from empirical_fs.api.resource import Resource
from empirical_fs.clock import aging_clock
from empirical_fs.errors import BadAnswer, EmpiricalError
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.read_ahead import LARGEST_PART
from empirical_fs.reading.walk_policy import Siblings
from empirical_fs.work.timer import Alarm, Timer

_KEPT_SECONDS = 10.0
_SHARE_OF_MEMORY = 2
"""Files fetched ahead may take the memory divided by this; the rest is for files that are being read."""


log = logging.getLogger(__name__)


class Walkable(Protocol):
    """A directory, with the orders in which a program may read its files."""

    @property
    def orders(self) -> Sequence[Sequence[int]]:
        """The ids of files with content, in each order; the same objects until the listing changes."""

    @property
    def resources(self) -> Mapping[int, Resource]:
        """The files by their ids."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A handle that was opened before a program opened the file."""

    handle: Handle
    until: float
    cause: Handle
    """The handle whose reads made us expect this open."""
    cause_read: int
    """Bytes that were read through `cause` when the time until `until` began."""


class WalkPrefetch:
    """Hands out handles, some of which were opened, and their bytes fetched, ahead of time.

    The lock guards the policies, the ready handles and the alarm that closes unused ones.
    """

    def __init__(
        self, readers: Readers, directory: Callable[[], Walkable], largest: int, timer: Timer
    ) -> None:
        """Open files of `directory` through `readers`.

        Files up to `largest` bytes are fetched ahead of every walk, larger ones only if the walk reads files
        whole. With 0, nothing is fetched ahead. `timer` closes handles that no program opens in time.
        """
        self._readers = readers
        self._directory = directory
        self._largest = largest
        self._timer = timer
        self._lock = threading.Lock()
        self._policies: list[Siblings] = []
        self._ready: dict[int, _Ready] = {}
        self._alarm: Alarm | None = None
        self._is_closed = False

    def open(self, resource: Resource, known: Content | None = None) -> Handle:
        """Open a handle on the content that `resource` describes: on `known`, if it describes that.

        Raises:
            BadAnswer: the size of the resource is not known.
        """
        with self._lock:
            ready = self._ready.pop(resource.id, None)
        if ready is not None:
            is_known = known in (None, ready.handle.content) or not known.is_as_listed(resource)
            if is_known and ready.until >= aging_clock() and ready.handle.content.is_as_listed(resource):
                return ready.handle
            ready.handle.close()
        return self._readers.open(resource, self._read, self._closed, known)

    def redated(self, content: Content, resource: Resource) -> None:
        """As `Readers.redated`."""
        self._readers.redated(content, resource)

    def ask_again(self, content: Content, on_answered: Callable[[], object]) -> None:
        """As `Fetcher.ask_again`."""
        self._readers.ask_again(content, on_answered)

    def end_lost(self, resource: Resource) -> None:
        """As `Readers.end_lost`; called before the file is opened."""
        self._readers.end_lost(resource)

    def latest(self, resource: Resource, known: Content | None = None) -> Content | None:
        """The content that `open` would use, if it was open before; None otherwise."""
        return self._readers.latest(resource, known)

    def close(self) -> None:
        """Close the handles that no program opened, and stop fetching ahead."""
        with self._lock:
            self._is_closed = True
            ready, self._ready = self._ready, {}
            if self._alarm is not None:
                self._alarm.cancel()
        for each in ready.values():
            each.handle.close()

    def _read(self, handle: Handle) -> None:
        """Fetch what a walk will read next, when the first bytes of a file are read."""
        try:
            self._fetch_siblings(handle)
        except (EmpiricalError, MemoryError) as error:
            # The read itself must not fail because of this.
            log.debug("the next files are not fetched ahead: %s", error)

    def _fetch_siblings(self, handle: Handle) -> None:
        directory = self._directory()
        resource_id = handle.content.resource_id
        planned: list[int] = []
        with self._lock:
            orders = directory.orders
            if len(self._policies) != len(orders):
                self._policies = [Siblings() for _ in orders]
            for policy, order in zip(self._policies, orders, strict=True):
                planned += policy.read(resource_id, order)
        small = {
            each: size
            for each in planned
            if (size := directory.resources[each].size) is not None and size <= self._largest
        }
        for each, stop in [*small.items(), *self._beginnings(resource_id, directory)]:
            if each == resource_id:
                handle.fetch_ahead(stop)
            elif not self._prepare(directory.resources[each], stop, handle):
                break

    def _beginnings(self, resource_id: int, directory: Walkable) -> list[tuple[int, int]]:
        """The ids of the larger files to fetch now, each with the offset up to which to fetch it."""
        if not self._largest:
            return []

        def size_of(each: int) -> int | None:
            return directory.resources[each].size

        room = min(self._readers.memory // _SHARE_OF_MEMORY, self._readers.connections * LARGEST_PART)
        with self._lock:
            found = [
                each
                for policy in self._policies
                for each in policy.beginnings(resource_id, size_of, self._largest, room)
            ]
        return list({each.resource_id: (each.resource_id, each.stop) for each in found}.values())

    def _closed(self, handle: Handle) -> None:
        """Learn from how a file was read; a file that was never read shows nothing."""
        if not handle.read_bytes:
            return
        content = handle.content
        with self._lock:
            for policy in self._policies:
                policy.closed(content.resource_id, content.size, is_whole=handle.is_read_whole)

    def _prepare(self, resource: Resource, stop: int, cause: Handle) -> bool:
        """Open a file ahead and fetch it up to `stop`; False if there is no memory for it."""
        with self._lock:
            if resource.id in self._ready:
                return True
        try:
            handle = self._readers.open(resource, self._read, self._closed)
        except BadAnswer:
            return True
        is_fetched = handle.fetch_ahead(stop)
        with self._lock:
            is_kept = is_fetched and not self._is_closed and resource.id not in self._ready
            if is_kept:
                until = aging_clock() + _KEPT_SECONDS
                self._ready[resource.id] = _Ready(handle, until, cause, cause.read_bytes)
                self._close_in_time()
        if not is_kept:
            handle.close()
        return is_fetched

    def _close_in_time(self) -> None:
        """Set the alarm that closes handles that no program opens. The lock is held."""
        if self._alarm is None:
            self._alarm = self._timer.after(_KEPT_SECONDS, self._close_old)

    def _close_old(self) -> None:
        now = aging_clock()
        with self._lock:
            over = {each: ready for each, ready in self._ready.items() if ready.until <= now}
            for each, ready in over.items():
                if ready.cause.read_bytes > ready.cause_read:
                    # The program still reads the file before: that one is long, or the link is slow.
                    self._ready[each] = _Ready(
                        ready.handle, now + _KEPT_SECONDS, ready.cause, ready.cause.read_bytes
                    )
            old = [each for each, ready in self._ready.items() if ready.until <= now]
            handles = [self._ready.pop(each).handle for each in old]
            self._alarm = None
            if self._ready and not self._is_closed:
                self._close_in_time()
        for handle in handles:
            handle.close()
