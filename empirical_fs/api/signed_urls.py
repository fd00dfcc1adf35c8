"""Hands out signed URLs by resource id; caches them until they expire, with one request per resource."""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from empirical_fs.api.client import Api
from empirical_fs.api.listing import Leisure, Listing, fetch_listing, in_a_hurry
from empirical_fs.api.pages import PER_PAGE, Page
from empirical_fs.api.resource import Resource
from empirical_fs.api.url_cache import UrlCache
from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import ApiUnavailable, NotTheApi, ResourceGone
from empirical_fs.single_flight import SingleFlight
from empirical_fs.statistics import Statistics
from empirical_fs.work.parallel import in_parallel
from empirical_fs.work.progress import Progress, unseen

_SINGLY_MAX, _SLOW_MAX, _SLOW_SECONDS = 16, 2, 1.0
"""How many resources may be signed at once by single requests; beyond that, the listing is fetched for their
URLs. The lower limit holds once a request has waited for so many seconds: the API is slow, or limits them."""
_FIRST_SINGLY, _MISSES_MAX = 4, 4
"""How many resources of a listing that another process fetched are signed by single requests, before whole
pages are fetched for their URLs; and how many resources may turn out to be on other pages by now, before the
whole listing is."""
_LISTING_SHARE = 0.5
"""The share of the timeout that such a listing may take before the resource is signed singly anyway."""

log = logging.getLogger(__name__)


class SignedUrls:
    """Hands out signed URLs. Threads may share it.

    The lock guards the table of single requests under way, what is known of the pages of the listing, the
    resources that are signed singly, and the number of misses; it is not held during requests.
    """

    def __init__(self, api: Api, ttl: float, timeout: float, statistics: Statistics) -> None:
        """Sign through `api`; keep a URL for `ttl` seconds at most; wait `timeout` seconds for a page."""
        self._statistics = statistics
        self._api = api
        self._timeout = timeout
        self._cache = UrlCache(ttl)
        self._lock = threading.Lock()
        self._singly: dict[int, float] = {}
        self._pages = 0
        self._signing = SingleFlight[int, str]()
        self._listing = SingleFlight[None, Listing]()
        self._paging = SingleFlight[int, Page]()
        self._page_numbers: dict[int, int] = {}
        self._first: set[int] = set()
        self._misses_left = _MISSES_MAX

    def listed_elsewhere(self, ids: Iterable[int]) -> None:
        """Note the order of a listing that another process fetched, which came without its signed URLs."""
        numbers = {resource_id: place // PER_PAGE + 1 for place, resource_id in enumerate(ids)}
        with self._lock:
            self._page_numbers, self._misses_left = numbers, _MISSES_MAX
            self._pages = max(numbers.values(), default=0)

    def list_resources(
        self,
        known: Mapping[int, Resource],
        progress: Progress = unseen,
        leisure: Leisure = in_a_hurry,
        patience: float | None = None,
    ) -> Listing:
        """Fetch every uploaded resource; their URLs, which come with them, are cached.

        Args:
            known: the resources of the previous listing, by id, as for `Api.page`.
            progress: called after each page.
            leisure: how long it may take.
            patience: the seconds to wait for each page; None means the usual timeout.

        Raises:
            ApiError: a page could not be fetched.
        """
        limit = self._timeout if patience is None else patience

        def page(number: int) -> Page:
            # Drop the URLs: in a large project they take more memory than all the rest, and are cached.
            return replace(self.page(number, limit, known), urls={})

        return fetch_listing(partial(in_parallel, page), progress, leisure)

    def page(self, number: int, patience: float, known: Mapping[int, Resource]) -> Page:
        """Fetch one page of the listing within `patience` seconds; its URLs are cached.

        Raises:
            ApiError: it could not be fetched.
        """
        asked_at = aging_clock()
        with self._statistics.request("api"):
            page = self._api.page(number, Deadline.after(patience), known)
        self._keep(page.urls, asked_at, page.server_time)
        with self._lock:
            self._pages = page.last_number or self._pages
        return page

    def known(self, resource_id: int) -> str | None:
        """The cached URL of a resource, if it has not expired as far as we know; else None."""
        return self._cache.known(resource_id)

    def get(self, resource_id: int, deadline: Deadline) -> str:
        """The cached URL of a resource; if there is none, have the API sign one.

        Raises:
            ApiError: the API did not sign one; ResourceGone if there is no such resource.
            DeadlinePassed: it was not signed in time.
        """
        return self.known(resource_id) or self._sign(resource_id, deadline)

    def renew(self, resource_id: int, refused: str, deadline: Deadline) -> str:
        """Another URL in place of one that the store refused; from the cache if that has a newer one.

        Raises:
            As `get`.
        """
        self._cache.forget(resource_id, refused)
        return self.get(resource_id, deadline)

    def _sign(self, resource_id: int, deadline: Deadline) -> str:
        return self._signing.do(resource_id, lambda: self._sign_now(resource_id, deadline), deadline)

    def _sign_now(self, resource_id: int, deadline: Deadline) -> str:
        if (url := self.known(resource_id)) is not None:
            return url  # another thread has signed it meanwhile
        if (url := self._on_page(resource_id, deadline)) is not None:
            return url
        if self._is_crowded(resource_id) and (url := self._listed(resource_id, deadline)) is not None:
            return url
        with self._lock:
            self._singly.setdefault(resource_id, time.monotonic())
        try:
            return self._sign_by_id(resource_id, deadline)
        finally:
            with self._lock:
                self._singly.pop(resource_id, None)

    def _on_page(self, resource_id: int, deadline: Deadline) -> str | None:
        """The URL from the page that lists the resource; None if it is to be signed singly.

        Each URL is a request when it is signed singly, and a process that reads one file of many will read
        more of them. A mount has the URLs from its own listing.
        """
        with self._lock:
            number = self._page_numbers.get(resource_id)
            if number is None:
                return None
            if len(self._first) < _FIRST_SINGLY:
                self._first.add(resource_id)
            if resource_id in self._first:
                return None
            is_old = not self._misses_left
        patience = self._timeout * _LISTING_SHARE
        try:
            if is_old:
                listing = self._listing.do(None, lambda: self.list_resources({}, patience=patience), deadline)
                self.listed_elsewhere(each.id for each in listing.resources)
            else:
                self._paging.do(number, lambda: self.page(number, patience, {}), deadline)
        except (ApiUnavailable, NotTheApi) as error:
            log.debug("the page cannot be fetched for its signed URLs: %s", error)
            return None
        url = self._cache.newest(resource_id)
        if url is None:
            with self._lock:
                self._page_numbers.pop(resource_id, None)
                self._misses_left = max(self._misses_left - 1, 0)
        return url

    def _is_crowded(self, resource_id: int) -> bool:
        """Whether a listing takes fewer requests than single ones; if not, register this single request."""
        now = time.monotonic()
        with self._lock:
            is_slow = any(now - since > _SLOW_SECONDS for since in self._singly.values())
            most = max(_SLOW_MAX if is_slow else _SINGLY_MAX, self._pages)
            is_crowded = self._pages > 0 and len(self._singly) >= most
            if not is_crowded:
                self._singly[resource_id] = now
        return is_crowded

    def _listed(self, resource_id: int, deadline: Deadline) -> str | None:
        """The URL from a new listing; None if the listing has none, or could not be fetched."""
        patience = self._timeout * _LISTING_SHARE
        try:
            self._listing.do(None, lambda: self.list_resources({}, patience=patience), deadline)
            return self._cache.newest(resource_id)
        except (ApiUnavailable, NotTheApi) as error:
            log.debug("the listing cannot be fetched for its signed URLs: %s", error)
            return None

    def _sign_by_id(self, resource_id: int, deadline: Deadline) -> str:
        asked_at = aging_clock()
        try:
            self._statistics.signed()
            with self._statistics.request("api"):
                signed = self._api.resource(resource_id, deadline)
        except (ResourceGone, NotTheApi) as error:
            # An API that does not serve single resources by id answers like this, too: try the listing.
            self._listing.do(None, lambda: self.list_resources({}), deadline)
            if (url := self._cache.newest(resource_id)) is None:
                raise ResourceGone(resource_id) from error
            return url
        if signed.url is None:
            raise ResourceGone(resource_id)
        self._keep({resource_id: signed.url}, asked_at, signed.server_time)
        return signed.url

    def _keep(self, urls: Mapping[int, str], asked_at: float, server_time: float | None) -> None:
        self._cache.keep(urls, asked_at, time.time() if server_time is None else server_time)
