"""One range of one content: sign, ask, resume where a body broke off, sign again where it is refused."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import ContentChanged, ResourceGone, StoreUnavailable, UnsafeUrl, UrlRefused
from empirical_fs.reading.content import Content
from empirical_fs.reading.store import Body, Sink, Store
from empirical_fs.resource import Resource
from empirical_fs.retry import retrying
from empirical_fs.signed_urls import SignedUrls

_Answer = TypeVar("_Answer")

_NOT_FOUND = (404, 410)
_WORTH_RESUMING = 64 * 2**10


class _Counted:
    """A sink that remembers how far it was filled, and when, whatever then went wrong."""

    def __init__(self, sink: Sink, at: int) -> None:
        self.at = at
        self.moved_at = time.monotonic()
        self.room = sink.room
        self.cancellation = sink.cancellation
        self._sink = sink

    def advance(self, count: int) -> None:
        self.at += count
        self.moved_at = time.monotonic()
        self._sink.advance(count)


class Ranges:
    """Ranges of contents from the store. Immutable, so threads may share it."""

    def __init__(self, store: Store, urls: SignedUrls, patience: float, closing: threading.Event) -> None:
        """Read from `store` by `urls`; give up after `patience` seconds without a byte, or on `closing`."""
        self._store = store
        self._urls = urls
        self._patience = patience
        self._closing = closing

    def fetch(
        self, content: Content, start: int, stop: int, sink: Sink, body: Body | None = None
    ) -> Body | None:
        """Put the bytes from `start` to `stop` into `sink`, in order, as they arrive.

        `body` is an open body to begin with. None is returned when all are there. A server that
        knows no ranges answers with the whole object: where that is more than was asked for, its open body
        is returned, of which nothing was read; the caller closes it.

        Raises:
            ContentChanged, ResourceGone: the object changed or is gone.
            EmpiricalError: it could not be read.
            BaseException: whatever `sink` raises.
        """
        wants_whole = (start, stop) == (0, content.size)
        counted = _Counted(sink, start)
        while counted.at < stop:
            deadline = Deadline(counted.moved_at + self._patience)
            for attempt in retrying(StoreUnavailable, deadline, self._closing, self._store.gave_up):
                with attempt:
                    counted.room()  # raises if nobody wants the bytes any more
                    begun = counted.at
                    body = body or self._open(content, begun, stop, deadline, sink.cancellation)
                    extent = body.extent
                    if not wants_whole and (extent.start != begun or extent.stop > stop):
                        sink.cancellation.detach()
                        return body
                    try:
                        body.pour(counted, skip=begun - extent.start)
                    except StoreUnavailable:
                        # What came so far shows that the store is well: ask for the rest at once.
                        if counted.at - begun < _WORTH_RESUMING:
                            raise
                    finally:
                        body.close()
                        body = None
        return None

    def measure(self, resource: Resource) -> int:
        """The size in bytes of an upload for which the API gave none.

        Raises:
            EmpiricalError: it could not be found.
        """
        deadline = Deadline.after(self._patience)
        for attempt in retrying(StoreUnavailable, deadline, self._closing, self._store.gave_up):
            with attempt:
                return self._signed(resource.id, deadline, lambda url: self._store.size(url, deadline))
        raise AssertionError("retrying ends with a size or an exception")

    def _open(
        self, content: Content, start: int, stop: int, deadline: Deadline, cancellation: Cancellation
    ) -> Body:
        """The open body of one answer, with the URL signed again once if the store refuses it.

        Raises:
            As `fetch`.
        """
        try:
            body = self._signed(
                content.resource_id,
                deadline,
                lambda url: self._store.get(url, content, start, stop, deadline, cancellation),
            )
        except (ContentChanged, ResourceGone):
            content.end()
            raise
        try:
            content.learn(body.extent.etag)
        except ContentChanged:
            body.close()
            raise
        return body

    def _signed(self, resource_id: int, deadline: Deadline, get: Callable[[str], _Answer]) -> _Answer:
        url = self._urls.get(resource_id, deadline)
        try:
            return get(url)
        except (UrlRefused, UnsafeUrl):
            url = self._urls.renew(resource_id, url, deadline)
        try:
            return get(url)
        except UrlRefused as error:
            if error.status in _NOT_FOUND:
                raise ContentChanged("the object is gone") from error
            raise
