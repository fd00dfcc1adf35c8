"""Holds what is kept on disk of the listing for later mounts, and tells whether that has changed."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from empirical_fs.api.last_good import Known
from empirical_fs.api.resource import Resource
from empirical_fs.cache.listing_format import KeptListing
from empirical_fs.catalog.sizes import Sizes
from empirical_fs.clock import aging_clock

OnListed = Callable[[bool], object]
"""Called after each listing of the API; the argument tells whether what is to be kept has changed."""


def nothing(_is_news: bool) -> None:  # noqa: FBT001 - as OnListed has it
    """Do nothing: where nothing is kept."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing of the API."""

    known: Known
    """The state of the project after it."""
    asked_at: float
    """When it was requested, on the aging clock."""
    server_time: float
    """The same by the server's clock, in seconds since the epoch."""


class ListingToKeep:
    """Holds the last listing of the API. One thread at a time may call `listed`, any number the others.

    The lock guards the number of sizes that was told.
    """

    def __init__(self, sizes: Sizes, on_listed: OnListed) -> None:
        """Keep these `sizes` too; `on_listed` must not block."""
        self._sizes = sizes
        self._on_listed = on_listed
        self._listed: Listed | None = None
        self._lock = threading.Lock()
        self._told_news = 0

    @property
    def has_listed(self) -> bool:
        """Whether the API has given a listing."""
        return self._listed is not None

    def listed(self, listed: Listed) -> None:
        """Note that the API has given this listing."""
        before, self._listed = self._listed, listed
        self._tell(is_news=before is None or not _are_alike(before.known, listed.known))

    def measured(self) -> None:
        """Note that sizes may have been found."""
        self._tell(is_news=False)

    def to_keep(self) -> KeptListing | None:
        """The last listing, with what else the directory shows of it; None if the API gave none yet."""
        listed = self._listed
        if listed is None:
            return None
        age = aging_clock() - listed.asked_at
        return KeptListing(listed.known, self._sizes.found(), time.time() - age, listed.server_time)

    def _tell(self, *, is_news: bool) -> None:
        with self._lock:
            before, self._told_news = self._told_news, self._sizes.news
        if self._listed is not None:
            self._on_listed(is_news or self._told_news != before)


def _are_alike(one: Known, other: Known) -> bool:
    if replace(one, shown={}) != replace(other, shown={}):
        return False
    return one.shown is other.shown or _are_same(one.shown, other.shown)


def _are_same(one: Mapping[int, Resource], other: Mapping[int, Resource]) -> bool:
    return len(one) == len(other) and all(other.get(each) is it for each, it in one.items())
