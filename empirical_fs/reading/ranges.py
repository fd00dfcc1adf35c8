"""One range of one content: sign, ask, resume where a body broke off, sign again where it is refused."""

import logging
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
from empirical_fs.waits import Pause, Steps, drive, elsewhere

_Answer = TypeVar("_Answer")

_NOT_FOUND = (404, 410)
_WORTH_RESUMING = 64 * 2**10

log = logging.getLogger(__name__)


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

    def fetch(  # noqa: PLR0913, PLR0917 - what, how far, and where to
        self,
        content: Content,
        start: int,
        stop: int,
        sink: Sink,
        request_stop: int | None = None,
        body: Body | None = None,
    ) -> Steps[Body | None]:
        """Put the bytes from `start` to `stop` into `sink`, in order, as they arrive.

        Args:
            content: what to read.
            start: the offset of the first byte.
            stop: the offset after the last one.
            sink: where the bytes go.
            request_stop: the offset to which a request asks for bytes, `stop` by default.
            body: an open body to begin with, which is at `start` or before; it is not the caller's any more.

        Returns:
            None where no body is left open; else one that the caller closes. It is either at `stop`, and goes
            on beyond, or it is the whole object, of which nothing was read: that is what a server sends
            which knows no ranges.

        Raises:
            ContentChanged, ResourceGone: the object changed or is gone.
            EmpiricalError: it could not be read.
            BaseException: whatever `sink` raises.
        """
        wants_whole = (start, stop) == (0, content.size)
        request_stop = max(stop, request_stop or stop)
        counted = _Counted(sink, start)
        if body is not None and (yield from self._goes_on(body, counted, stop)):
            return body
        while counted.at < stop:
            deadline = Deadline(counted.moved_at + self._patience)
            pauses: list[float] = []
            tries = retrying(StoreUnavailable, deadline, self._closing, self._store.gave_up, pauses.append)
            for attempt in tries:
                while pauses:
                    yield Pause(pauses.pop())
                with attempt:
                    counted.room()  # raises if nobody wants the bytes any more
                    begun = counted.at
                    body = yield from self._open(content, begun, request_stop, deadline, sink.cancellation)
                    if not wants_whole and not body.extent.is_part(begun, request_stop):
                        body.hand_to(Cancellation())
                        return body
                    try:
                        if (yield from _is_left_open(body, counted, stop)):
                            return body
                    except StoreUnavailable:
                        # What came so far shows that the store is well: ask for the rest at once.
                        if counted.at - begun < _WORTH_RESUMING:
                            raise
        return None

    def _goes_on(self, body: Body, counted: _Counted, stop: int) -> Steps[bool]:
        """Whether a body that was left open some time ago has brought the bytes to `stop`, and has more."""
        body.hand_to(counted.cancellation)
        try:
            return (yield from _is_left_open(body, counted, stop))
        except StoreUnavailable as error:
            # A server may have closed it meanwhile, which says nothing about how it answers now.
            log.debug("a body that was left open ended: %s", error)
            return False

    def measure(self, resource: Resource) -> int:
        """The size in bytes of an upload for which the API gave none.

        Raises:
            EmpiricalError: it could not be found.
        """
        deadline = Deadline.after(self._patience)
        for attempt in retrying(StoreUnavailable, deadline, self._closing, self._store.gave_up):
            with attempt:
                signed = self._signed(resource.id, deadline, lambda url: self._store.size(url, deadline))
                return drive(signed)
        raise AssertionError("retrying ends with a size or an exception")

    def _open(
        self, content: Content, start: int, stop: int, deadline: Deadline, cancellation: Cancellation
    ) -> Steps[Body]:
        """The open body of one answer, with the URL signed again once if the store refuses it.

        Raises:
            As `fetch`.
        """
        try:
            body = yield from self._signed(
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

    def _signed(
        self, resource_id: int, deadline: Deadline, get: Callable[[str], Steps[_Answer]]
    ) -> Steps[_Answer]:
        url = self._urls.known(resource_id)
        if url is None:
            url = yield from elsewhere(lambda: self._urls.get(resource_id, deadline))
        try:
            return (yield from get(url))
        except (UrlRefused, UnsafeUrl):
            refused = url
        url = yield from elsewhere(lambda: self._urls.renew(resource_id, refused, deadline))
        try:
            return (yield from get(url))
        except UrlRefused as error:
            if error.status in _NOT_FOUND:
                raise ContentChanged("the object is gone") from error
            raise


def _is_left_open(body: Body, counted: _Counted, stop: int) -> Steps[bool]:
    """Pour the bytes up to `stop`; close the body unless it has more, and say whether it has.

    Raises:
        As `Body.pour`.
    """
    has_more = False
    try:
        yield from body.pour(counted, counted.at, min(stop, body.extent.stop))
        has_more = body.extent.stop > stop
    finally:
        if has_more:
            body.hand_to(Cancellation())
        else:
            body.close()
    return has_more
