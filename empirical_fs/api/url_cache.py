"""A cache of signed URLs, each kept only until it expires.

A listing brings a URL for every resource, and few of them are ever used. So the URLs of a page are stored
unparsed; the expiry of a URL is parsed only when it is used.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cachetools import TLRUCache

from empirical_fs.clock import aging_clock
from empirical_fs.net.urls import declared_expiry

_URLS_MAX = 50_000
_MARGIN_SECONDS = 60.0
_MARGIN_SHARE = 0.1


def lifetime(url: str, signer_time: float, ttl: float) -> float:
    """For how many seconds a freshly signed URL may be used: `ttl`, or less if the URL expires earlier.

    The declared expiry is compared with the signer's own clock, `signer_time`, so that a wrong clock here
    does not matter. The last tenth of that time, a minute at most, is not used: a request must arrive before
    the expiry. Never below zero.
    """
    expiry = declared_expiry(url)
    if expiry is None:
        return ttl
    declared = expiry - signer_time
    return max(min(ttl, declared - min(_MARGIN_SECONDS, declared * _MARGIN_SHARE)), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """The URLs of one answer, by resource id."""

    urls: dict[int, str]
    asked_at: float
    """On the cache's clock."""
    signer_time: float
    """The time of signing in seconds since the epoch, on the signer's clock."""


@dataclass(frozen=True, slots=True)
class _SignedUrl:
    url: str
    expires_at: float
    """On the cache's clock."""


class UrlCache:
    """Signed URLs by resource id. Thread-safe: the lock guards all tables."""

    def __init__(self, ttl: float, clock: Callable[[], float] = aging_clock) -> None:
        """Keep a URL for `ttl` seconds at most; `clock` gives seconds, and also runs during suspend."""
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._used: TLRUCache[int, _SignedUrl] = TLRUCache(
            _URLS_MAX, ttu=lambda _, signed, __: signed.expires_at, timer=clock
        )
        self._batches: dict[_Batch, None] = {}
        """The batches that still have URLs, the oldest first."""
        self._batch_of: dict[int, _Batch] = {}
        """The batch that holds the URL of a resource, by resource id."""

    def keep(self, urls: Mapping[int, str], asked_at: float, signer_time: float) -> None:
        """Store the URLs of an answer.

        Args:
            urls: unchecked, by resource id.
            asked_at: when the request was made, on the cache's clock.
            signer_time: the same time in seconds since the epoch, on the signer's clock.
        """
        batch = _Batch(dict(urls), asked_at, signer_time)
        with self._lock:
            for each in batch.urls:
                self._take(each)
            self._batches[batch] = None
            self._batch_of.update(dict.fromkeys(batch.urls, batch))
            while len(self._batch_of) > _URLS_MAX:
                for each in list(next(iter(self._batches)).urls):
                    self._take(each)

    def known(self, resource_id: int) -> str | None:
        """The cached URL of a resource, if it has not expired as far as we know; else None."""
        with self._lock:
            signed = self._used.get(resource_id)
            if signed is not None:
                return signed.url
            taken = self._take(resource_id)
            if taken is None:
                return None
            url, batch = taken
            expires_at = batch.asked_at + lifetime(url, batch.signer_time, self._ttl)
            self._used[resource_id] = _SignedUrl(url, expires_at)
            return url if expires_at > self._clock() else None

    def forget(self, resource_id: int, refused: str) -> None:
        """Remove a URL that the store refused."""
        with self._lock:
            signed = self._used.get(resource_id)
            if signed is not None and signed.url == refused:
                del self._used[resource_id]
            batch = self._batch_of.get(resource_id)
            if batch is not None and batch.urls[resource_id] == refused:
                self._take(resource_id)

    def newest(self, resource_id: int) -> str | None:
        """The newest URL if it was not used yet, even if it has expired; else as `known`."""
        with self._lock:
            batch = self._batch_of.get(resource_id)
            if batch is not None:
                return batch.urls[resource_id]
        return self.known(resource_id)

    def _take(self, resource_id: int) -> tuple[str, _Batch] | None:
        """Take the URL of a resource out of its batch. The caller holds the lock."""
        batch = self._batch_of.pop(resource_id, None)
        if batch is None:
            return None
        url = batch.urls.pop(resource_id)
        if not batch.urls:
            del self._batches[batch]
        return url, batch
