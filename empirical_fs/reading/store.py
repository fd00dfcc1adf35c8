"""One GET to the object store: redirects, and a body that is as long as it should be."""

import logging
import tempfile
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Protocol

import httpx

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import BadAnswer, StoreUnavailable
from empirical_fs.http import Http, Incoming
from empirical_fs.reading.answers import Extent, check_answer, size_from_answer
from empirical_fs.reading.buffers import spool_place
from empirical_fs.reading.content import Content
from empirical_fs.reading.link import LEFT_OPEN
from empirical_fs.tracing import traced
from empirical_fs.urls import parse_given, parse_redirect
from empirical_fs.waits import Steps

IN_FLIGHT = 64
"""Requests to the store that move at once, at most."""
STALLED = 448
"""More of them that the store leaves without a word, at most: one that is silent must not hold up others."""

log = logging.getLogger(__name__)

_WASTE = 256 * 2**10
_IN_MEMORY = 2**20
_REDIRECTS_MAX = 3
_URLS_CHECKED = 256
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)


class Sink(Protocol):
    """Where the bytes of a body go, in order."""

    @property
    def cancellation(self) -> Cancellation:
        """Ends the wait for more of them."""

    def room(self) -> memoryview:
        """The place for the next bytes; never empty while some are missing.

        Raises:
            EmpiricalError: nobody wants them any more.
        """

    def advance(self, count: int) -> None:
        """Take note that `count` bytes were put into the room."""


class Body:
    """The open body of a checked answer; close it when done."""

    def __init__(
        self,
        extent: Extent,
        incoming: Incoming,
        close: Callable[[], None],
        cancellation: Cancellation,
    ) -> None:
        """Wrap an answer whose body holds `extent`; `cancellation` ends its request."""
        self.extent = extent
        self.at = extent.start
        """The offset in the object of the next byte."""
        self._incoming = incoming
        self._close = close
        self._cancellation = cancellation

    def close(self) -> None:
        """Have done with it; what was not read is lost, and its connection with it."""
        # The transport detaches the one by which it was asked, and knows of no other.
        self._cancellation.detach()
        self._close()

    def hand_to(self, cancellation: Cancellation) -> None:
        """Let `cancellation` end the request from now on, and no other."""
        cancellation.take_over(self._cancellation)
        self._cancellation = cancellation

    def pour(self, sink: Sink, start: int, stop: int) -> Steps[None]:
        """Put the bytes from `start` to `stop`, offsets in the object, into `sink` as they arrive.

        A body of no announced length is poured to its end only.

        Raises:
            StoreUnavailable: the body stalled or ended before its length.
            BadAnswer: it is longer than the answer said.
            OSError: there is no place to hold back a body of no announced length.
        """
        if not self.extent.is_announced:
            yield from self._pour_checked(sink, start)
            return
        waste = memoryview(bytearray(min(start - self.at, _WASTE) or 1))
        while self.at < start:
            yield from self._incoming.arrived()
            self._read(waste[: start - self.at])
        while self.at < stop:
            yield from self._incoming.arrived()
            sink.advance(self._read(sink.room()[: stop - self.at]))
        if self.at == self.extent.stop and self._incoming.read_into(waste[:1]):
            raise BadAnswer("the store sent more bytes than it announced")

    def _pour_checked(self, sink: Sink, start: int) -> Steps[None]:
        """Hold the bytes back until the end shows that they are as many as the object has.

        A page of a proxy or of a sign-in has no length either, and must not be taken for a beginning.
        """
        size = self.extent.stop
        piece = memoryview(bytearray(_WASTE))
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=spool_place()) as spool:
            while count := (yield from self._next(piece)):
                spool.write(piece[:count])
                if spool.tell() > size:
                    raise BadAnswer("the store sent more bytes than the object has")
            if spool.tell() < size:
                raise StoreUnavailable("the body ended early")
            spool.seek(start)
            while start < size:
                count = spool.readinto(sink.room()[: size - start])
                sink.advance(count)
                start += count

    def _next(self, view: memoryview) -> Steps[int]:
        yield from self._incoming.arrived()
        return self._incoming.read_into(view)

    def _read(self, view: memoryview) -> int:
        count = self._incoming.read_into(view)
        if not count:
            raise StoreUnavailable("the body ended early")
        self.at += count
        return count


class Store:
    """GETs of signed URLs; never with the key. Immutable, so threads may share it."""

    def __init__(self, api_url: httpx.URL, closing: threading.Event, patience: float) -> None:
        """Open no connection yet; `closing` and `patience` (seconds) as `Http` takes them.

        The URLs are given by the server of `api_url`.
        """
        # A URL is asked for many ranges, and to check it takes a sixth of the CPU of a request.
        self._parse_given = lru_cache(_URLS_CHECKED)(partial(parse_given, giver=api_url))
        self._http = Http(IN_FLIGHT + STALLED + LEFT_OPEN, StoreUnavailable, closing, patience)
        self.gave_up = self._http.gave_up
        self.lost = self._http.lost

    def close(self) -> None:
        """Close the connections; bodies that are still read break off."""
        self._http.close()

    def get(  # noqa: PLR0913, PLR0917 - where, what, and for how long
        self,
        url: str,
        content: Content,
        start: int,
        stop: int,
        deadline: Deadline,
        cancellation: Cancellation,
    ) -> Steps[Body]:
        """The bytes from `start` to `stop` of `content`, or all of it from a server without ranges.

        Raises:
            OutOfReach: it did not answer others either.
            StoreError: as `check_answer`, or the URL or a redirect is unsafe.
            DeadlinePassed: not in time.
        """
        etag = content.etag
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        # RFC 9110, 13.1.1: If-Match takes strong ones only.
        if etag is not None and etag.startswith('"'):
            headers["If-Match"] = etag
        what = f"GET of resource {content.resource_id}, bytes {start} to {stop}"
        with traced(log, what) as ended:
            response = yield from self._get(url, headers, deadline, cancellation)
            ended(f"HTTP {response.status_code}")
        try:
            extent = check_answer(response.status_code, response.headers, start, stop, content.size, etag)
        except BaseException:
            response.close()
            raise
        return Body(extent, self._http.body(response), response.close, cancellation)

    def size(self, url: str, deadline: Deadline) -> Steps[int]:
        """The size of an object in bytes, by a GET of one: a presigned URL refuses HEAD (api.md).

        Raises:
            As `get`.
        """
        response = yield from self._get(url, {"Range": "bytes=0-0"}, deadline)
        try:
            return size_from_answer(response.status_code, response.headers)
        finally:
            response.close()

    def _get(
        self, text: str, headers: dict[str, str], deadline: Deadline, cancellation: Cancellation | None = None
    ) -> Steps[httpx.Response]:
        url = self._parse_given(text)
        for _ in range(_REDIRECTS_MAX + 1):
            response = yield from self._http.request(url, headers, deadline, cancellation)
            if response.status_code not in _REDIRECT_STATUSES:
                return response
            response.close()
            url = parse_redirect(url, response.headers.get("location", ""))
        raise BadAnswer("the store redirects too often")
