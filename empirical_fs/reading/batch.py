"""The files that one command, or the pinned files, want in the cache on disk, and how far they are."""

import threading
from collections.abc import Mapping
from typing import Protocol

from empirical_fs.api.resource import Resource
from empirical_fs.cache.cached import Cached
from empirical_fs.reading.prefetch_policy import Order, may_give_up


class Keeper(Protocol):
    """Hears which versions are fetched."""

    def found(self, resource: Resource, cached: Cached) -> None:
        """This is the version that is being fetched.

        Raises:
            OSError: the disk fails.
        """

    def kept(self, resource: Resource, cached: Cached) -> None:
        """All of it is on disk.

        Raises:
            OSError: the disk fails.
        """


class Batch:
    """The files of one wish, and how far they are. Only the thread of the `Prefetch` changes the numbers."""

    def __init__(self, sizes: Mapping[int, int], keeper: Keeper | None) -> None:
        """Fetch the resources with these ids; `sizes` has the bytes of each."""
        self.files = len(sizes)
        self.bytes = sum(sizes.values())
        self.files_done = self.bytes_done = 0
        self._in_a_row = 0
        self.failures: dict[int, str] = {}
        """Why files could not be fetched whole, by their ids."""
        self.stopped_by: str | None = None
        """Why the rest was given up; None if it was not."""
        self.is_cancelled = False
        """Set by `cancel`, for good."""
        self.ended = threading.Event()
        self.sizes = sizes
        self.order = Order(sizes)
        self.keeper = keeper

    @property
    def is_to_go_on(self) -> bool:
        """Whether the rest is wanted, and possible."""
        return not self.is_cancelled and self.stopped_by is None

    def cancel(self) -> None:
        """Fetch nothing more; what is there stays."""
        self.is_cancelled = True

    def note_no_answer(self, reason: str) -> None:
        """Note that a server gave no answer that could be used; after many in a row the rest is given up."""
        self._in_a_row += 1
        if may_give_up(self._in_a_row) and self.stopped_by is None:
            self.stopped_by = reason

    def moved(self, size: int) -> None:
        """Note that so many bytes have come."""
        self.bytes_done += size
        self._in_a_row = 0

    def fail(self, resource_id: int, reason: str) -> None:
        """Note that a file cannot be fetched."""
        self.failures[resource_id] = reason
