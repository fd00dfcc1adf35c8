"""Fetches one range of a content: sends requests, and resumes broken bodies."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from empirical_fs.api.resource import Resource
from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline, DeadlineOfWork
from empirical_fs.errors import (
    BadAnswer,
    ContentChanged,
    DeadlinePassed,
    ResourceGone,
    StoreUnavailable,
)
from empirical_fs.net.retry import Tries
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.answer_heads import measured
from empirical_fs.reading.fetch.object_store import Asked, Body, Sink, Store
from empirical_fs.reading.fetch.signed_requests import SignedRequests
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.version import Extent, Head, Refused
from empirical_fs.work.waits import Pause, Steps, drive

_WORTH_RESUMING = 64 * 2**10
_WORTH_RETRYING = (StoreUnavailable, BadAnswer, DeadlinePassed)
_ASKED_AGAIN_SECONDS = 5.0
"""An open waits at most this long for the store to confirm that nothing has changed."""


class Filled(NamedTuple):
    """All the requested bytes are in the sink."""

    left_open: Body | None = None
    """An open body, read up to the end of these bytes, which has more; the caller closes it."""


@dataclass(frozen=True, slots=True)
class WholeInstead:
    """The server supports no ranges: it sends the whole object, of which nothing was read yet."""

    body: Body
    """The caller closes it."""


Listed = Callable[[int], Resource | None]
"""Returns the resource with an id as the listing has it now; None if it has none."""

log = logging.getLogger(__name__)


class _Counted:
    """A sink that also records how far it was filled, and when; this survives a failed request."""

    def __init__(self, sink: Sink, at: int) -> None:
        self.at = at
        self.is_stuck = False
        """Whether the last answer brought no bytes."""
        self.moved_at = time.monotonic()
        self.room = sink.room
        self.has_kept = sink.has_kept
        self.cancellation = sink.cancellation
        self._sink = sink

    def advance(self, count: int) -> None:
        self.at += count
        self.moved_at = time.monotonic()
        self._sink.advance(count)


class Ranges:
    """Fetches ranges of contents from the store. Immutable, so threads may share it."""

    def __init__(
        self, store: Store, urls: SignedUrls, listed: Listed, patience: float, closing: threading.Event
    ) -> None:
        """Read from `store` with the signed `urls`; `listed` returns what the listing has now.

        A fetch fails after `patience` seconds without a byte, or when `closing` is set.
        """
        self._store = store
        self._signed = SignedRequests(store, urls)
        self._listed = listed
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
    ) -> Steps[Filled | WholeInstead]:
        """Put the bytes from `start` to `stop` into `sink`, in order, as they arrive.

        Args:
            content: the content to read.
            start: the offset of the first byte.
            stop: the offset after the last one.
            sink: receives the bytes.
            request_stop: the offset at which requests end, `stop` by default.
            body: an open body to begin with, read up to `start` or less; `fetch` takes it over.

        Raises:
            ContentChanged, ResourceGone: the object changed or was deleted.
            EmpiricalError: it could not be read.
            BaseException: whatever `sink` raises.
        """
        try:
            return (yield from self._fetch(content, start, stop, _Counted(sink, start), request_stop, body))
        except (ContentChanged, ResourceGone):
            content.end()
            raise

    def _fetch(  # noqa: PLR0913, PLR0917 - as `fetch`
        self,
        content: Content,
        start: int,
        stop: int,
        counted: _Counted,
        request_stop: int | None,
        body: Body | None,
    ) -> Steps[Filled | WholeInstead]:
        """Send requests until all bytes are there; after each that fails, wait and try again."""
        if body is not None and (yield from self._goes_on(body, counted, stop)):
            return Filled(body)
        asked_stop = max(stop, request_stop or stop)
        while counted.at < stop:
            deadline = DeadlineOfWork(counted.moved_at + self._patience)
            tries = Tries(deadline, self._closing, self._store.gave_up)
            while True:
                try:
                    fetched = yield from self._fetch_once(
                        content, Range(start, stop), asked_stop, counted, deadline
                    )
                except _WORTH_RETRYING as error:
                    pause = tries.pause(error)
                else:
                    break
                yield Pause(pause)
            if fetched is not None:
                return fetched
        return Filled()

    def _fetch_once(
        self, content: Content, wanted: Range, asked_stop: int, counted: _Counted, deadline: Deadline
    ) -> Steps[Filled | WholeInstead | None]:
        """Put the missing bytes of `wanted` into the sink by one request; None if some are still missing."""
        counted.room()  # raises if the bytes are no longer needed
        begun = counted.at
        # Without validators, only the same bytes sent again tie this answer to the ones before: begin at the
        # start. Not if the last answer brought nothing, since the start alone would never lead further.
        first = begun if content.is_tied or counted.is_stuck else wanted.start
        # A store that asks for fewer requests must not also keep one that is left open.
        last = wanted.stop if asked_stop > wanted.stop and self._store.is_limited else asked_stop
        body = yield from self._open(content, first, last, deadline, counted.cancellation)
        wants_whole = (wanted.start, wanted.stop) == (0, content.size)
        if not wants_whole and not body.extent.is_part(first, last):
            body.hand_to(Cancellation())
            return WholeInstead(body)
        try:
            if (yield from _pour(body, counted, wanted.stop)):
                return Filled(body)
        except StoreUnavailable:
            # The bytes that arrived show that the store is healthy: request the rest at once.
            if counted.at - begun < _WORTH_RESUMING:
                raise
        finally:
            counted.is_stuck = counted.at == begun
        return None

    def _goes_on(self, body: Body, counted: _Counted, stop: int) -> Steps[bool]:
        """Read on in a body that was left open; True if it brought the bytes up to `stop` and has more."""
        body.hand_to(counted.cancellation)
        try:
            return (yield from _pour(body, counted, stop))
        except (StoreUnavailable, BadAnswer) as error:
            # The server may have closed it meanwhile, which does not mean that a new request would fail.
            log.debug("a body that was left open ended: %s", error)
            return False

    def measure(self, resource: Resource) -> tuple[int, bool]:
        """Ask the store for the size in bytes of an upload whose size the API does not give, or gives as 0.

        The API may also send 0 when it does not know the size. Returns the size, and whether it is final: the
        object is empty, or not older than the listing says.

        A presigned URL refuses HEAD (api.md), so this sends a GET of one byte.

        Raises:
            EmpiricalError: the size could not be found.
        """
        asked = Asked(resource.id, 0, 1, None)
        deadline = Deadline.after(self._patience)
        tries = Tries(deadline, self._closing, self._store.gave_up)
        while True:
            try:
                head = drive(self._signed.head(asked, deadline, Cancellation()))
                size = measured(head, resource.size, is_html=resource.is_html)
            except _WORTH_RETRYING as error:
                tries.wait(error)
            else:
                is_final = isinstance(head.brings, Refused) or head.validators.are_since(resource.updated_ns)
                return size, is_final

    def ask_again(self, content: Content) -> Steps[None]:
        """Ask the store whether it still has the same object that was read before.

        Raises:
            ContentChanged, ResourceGone: it no longer has it.
            EmpiricalError: it gave no usable answer, and is not asked again for a moment.
        """
        deadline = Deadline.after(min(self._patience, _ASKED_AGAIN_SECONDS))
        # So that the next open does not wait as long for an answer that may not come.
        content.put_off_asking()
        try:
            head = yield from self._signed.head(self._asked(content, 0, 1), deadline, Cancellation())
            self._tie(content, head)
        except (ContentChanged, ResourceGone):
            content.end()
            raise
        content.asked()

    def _open(
        self, content: Content, start: int, stop: int, deadline: Deadline, cancellation: Cancellation
    ) -> Steps[Body]:
        """Send a request; returns the open body of the answer, which is tied to `content`.

        Raises:
            As `fetch`.
        """
        head, body = yield from self._signed.get(self._asked(content, start, stop), deadline, cancellation)
        try:
            if body is None:
                content.check(head, is_listed=self._is_listed(content))
                raise AssertionError("a refusal can be tied to nothing")
            # An answer with fewer bytes than requested does not prove that the store sends no validators, and
            # a body of unknown length may turn out to be a page of a proxy: those are tied at their end.
            body.confirm = partial(self._tie, content, head)
            is_all = body.extent.stop >= min(stop, content.size)
            if body.extent.is_announced and (is_all or not head.validators.is_none):
                body.confirm()
            else:
                content.check(head, is_listed=self._is_listed(content))
            if head.total is None and body.extent.is_range and not content.is_length_known:
                yield from self._find_end(content, deadline, cancellation)
        except BaseException:
            if body is not None:
                body.close()
            raise
        return body

    def _find_end(self, content: Content, deadline: Deadline, cancellation: Cancellation) -> Steps[None]:
        """Request the byte after the last one: an answer without the total size would hide that there is one.

        Raises:
            ContentChanged: there is one, or the object has changed.
        """
        size = content.size
        head = yield from self._signed.head(self._asked(content, size, size + 1), deadline, cancellation)
        if head.brings is not Refused.PAST_THE_END:
            content.check(head, is_listed=self._is_listed(content))
            if isinstance(head.brings, Extent) and head.brings.stop > size:
                raise ContentChanged(f"the object has more bytes than the {size} that the listing says")
        elif head.total not in (None, size):
            raise ContentChanged(f"the object has {head.total} bytes, the listing says {size}")
        content.know_length()

    def _tie(self, content: Content, head: Head) -> None:
        content.tie(head, is_listed=self._is_listed(content))

    def _asked(self, content: Content, start: int, stop: int) -> Asked:
        return Asked(content.resource_id, start, stop, content.size, content.if_match)

    def _is_listed(self, content: Content) -> bool:
        return content.is_described_by(self._listed(content.resource_id))


def _pour(body: Body, counted: _Counted, stop: int) -> Steps[bool]:
    """Copy the bytes up to `stop` into the sink; returns whether the body has more, and closes it if not.

    Raises:
        As `Body.pour`.
    """
    is_left_open = False
    try:
        yield from body.pour(counted, counted.at, min(stop, body.extent.stop))
        is_left_open = body.has_more
    finally:
        if is_left_open:
            body.hand_to(Cancellation())
        else:
            body.close()
    return is_left_open
