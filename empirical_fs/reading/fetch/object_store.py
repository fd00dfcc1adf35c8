"""One GET to the object store: follows redirects, and checks that the body has the right length."""

import logging
import re
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import httpx

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import BadAnswer, ContentChanged, StoreUnavailable, TooManyRedirects
from empirical_fs.net.addresses import Address, permits_all, permits_no_local
from empirical_fs.net.client import Common, Http, nothing
from empirical_fs.net.destination import Destination, Origin
from empirical_fs.net.http11 import Answer
from empirical_fs.net.incoming import Incoming
from empirical_fs.net.probe_requests import ProbeRequest
from empirical_fs.net.tracing import traced
from empirical_fs.net.urls import exact_target, is_loopback, parse_given, redirected
from empirical_fs.reading.buffers import spool_place
from empirical_fs.reading.fetch.answer_heads import read_head
from empirical_fs.reading.fetch.concurrency import LEFT_OPEN
from empirical_fs.reading.version import Extent, Head
from empirical_fs.work.waits import Steps

IN_FLIGHT = 128
"""The most requests to the store that transfer bytes at once."""
STALLED = 448
"""The most additional requests that may wait for a silent store, which must not delay others."""

log = logging.getLogger(__name__)

_WASTE = 256 * 2**10
_IN_MEMORY = 2**20
_REDIRECTS_MAX = 3
_URLS_CHECKED = 256
_USUAL = re.compile(r"(?P<origin>https?://[a-z0-9.-]+(:[0-9]{1,5})?)/[\x21\x22\x24-\x7e]*")
_USUAL_MAX = 8192
"""A URL that is valid if its origin is, and that all parsers read alike: no user name, no fragment."""
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)


class Sink(Protocol):
    """Where the bytes of a body go, in order."""

    @property
    def cancellation(self) -> Cancellation:
        """Ends the request, and the wait for more bytes."""

    def room(self) -> memoryview:
        """The memory for the next bytes; never empty while some are missing.

        Raises:
            EmpiricalError: the bytes are no longer needed.
        """

    def advance(self, count: int) -> None:
        """Note that `count` bytes were written into `room`."""

    def has_kept(self, at: int, again: memoryview) -> bool:
        """Whether bytes received again, which begin at offset `at`, equal those that it has kept of them."""


class Body:
    """The open body of an answer whose head was read; the caller must close it."""

    def __init__(
        self,
        extent: Extent,
        incoming: Incoming,
        close: Callable[[], None],
        cancellation: Cancellation,
    ) -> None:
        """Wrap an answer whose body holds `extent`; `cancellation` ends its request."""
        self.extent = extent
        self.confirm: Callable[[], object] = lambda: None
        """Called when a body of unknown length has ended with the right length; it may raise."""
        self.at = extent.start
        """The offset in the object of the next byte."""
        self._incoming = incoming
        self._close = close
        self._cancellation = cancellation

    def close(self) -> None:
        """Close the body; if it was not read to its end, its connection is closed too."""
        # The transport only detaches the cancellation that the request began with.
        self._cancellation.detach()
        self._close()

    def hand_to(self, cancellation: Cancellation) -> None:
        """From now on `cancellation` ends the request, in place of the previous one."""
        cancellation.take_over(self._cancellation)
        self._cancellation = cancellation

    def pour(self, sink: Sink, start: int, stop: int) -> Steps[None]:
        """Put the bytes from `start` to `stop`, offsets in the object, into `sink` as they arrive.

        Bytes before `start` are only compared with those that the sink has kept. A body of unknown length is
        always read to its end.

        Raises:
            ContentChanged: bytes received again differ from those received before.
            StoreUnavailable: the body stalled, or ended early.
            BadAnswer: the body is longer than the answer said.
            OSError: the disk has no space to hold back a body of unknown length.
            EmpiricalError: raised by `confirm`.
        """
        if not self.extent.is_announced:
            yield from self._pour_held_back(sink, start, stop)
            return
        if self.at < start:
            yield from self._compare(sink, start)
        while self.at < stop:
            yield from self._incoming.arrived()
            sink.advance(self._read(sink.room()[: stop - self.at]))

    def _compare(self, sink: Sink, start: int) -> Steps[None]:
        """Read the bytes before `start`, which must be those that the sink has kept."""
        waste = memoryview(bytearray(min(start - self.at, _WASTE)))
        while self.at < start:
            yield from self._incoming.arrived()
            at = self.at
            _check_again(sink, at, waste[: self._read(waste[: start - at])])

    @property
    def has_more(self) -> bool:
        """Whether it has bytes that were not read yet."""
        return self.at < self.extent.stop

    def _pour_held_back(self, sink: Sink, start: int, stop: int) -> Steps[None]:
        """Hold the bytes back until the end of the body shows that their number is right.

        A proxy's or a sign-in page may have no length either, and must not be taken for the beginning of the
        object; nor may a truncated body be taken for the whole range that was requested.
        """
        first, size = self.extent.start, self.extent.stop - self.extent.start
        piece = memoryview(bytearray(_WASTE))
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=spool_place()) as spool:
            while count := (yield from self._next(piece)):
                spool.write(piece[:count])
                if spool.tell() > size:
                    raise BadAnswer("the store sent more bytes than the head of its answer says")
            if spool.tell() < size:
                raise StoreUnavailable("the body ended early")
            self.at = self.extent.stop
            self.confirm()
            spool.seek(0)
            while (at := first + spool.tell()) < start:
                _check_again(sink, at, piece[: spool.readinto(piece[: start - at])])
            while (at := first + spool.tell()) < stop:
                sink.advance(spool.readinto(sink.room()[: stop - at]))

    def _next(self, view: memoryview) -> Steps[int]:
        yield from self._incoming.arrived()
        return self._incoming.read_into(view)

    def _read(self, view: memoryview) -> int:
        count = self._incoming.read_into(view)
        if not count:
            raise StoreUnavailable("the body ended early")
        self.at += count
        return count


def _check_again(sink: Sink, at: int, again: memoryview) -> None:
    if not sink.has_kept(at, again):
        raise ContentChanged("the object has other bytes than before")


class Asked(NamedTuple):
    """What a request asks for: a range of an object."""

    resource_id: int
    start: int
    """The offset of the first byte."""
    stop: int
    """The offset after the last one."""
    size: int | None
    """The size of the object in bytes; None if not known."""
    if_match: str | None = None
    """The ETag that the object must have; None for any."""


class Store:
    """Sends GETs to signed URLs, never with the API key. Immutable, so threads may share it."""

    def __init__(
        self,
        api_url: httpx.URL,
        common: Common,
        is_api_here: Callable[[], bool] = lambda: False,
        relieve: Callable[[], object] = nothing,
    ) -> None:
        """Open no connection yet.

        Args:
            api_url: the API, whose server signs the URLs.
            common, relieve: as `Http` takes them.
            is_api_here: tells whether that server turned out to be on this machine, though its name does not
                say so.
        """
        is_named_here = is_loopback(api_url)

        def permit(scheme: str, address: Address) -> bool:
            permits = permits_all if is_named_here or is_api_here() else permits_no_local
            return permits(scheme, address)

        # Many ranges are requested from one URL, and many URLs name one server; to check one takes long.
        origin_of = lru_cache(_URLS_CHECKED)(lambda text: Origin.of(parse_given(text, api_url)))
        self._parse_given = lru_cache(_URLS_CHECKED)(partial(_parsed, giver=api_url, origin_of=origin_of))
        connections = IN_FLIGHT + STALLED + LEFT_OPEN
        self._http = Http(connections, StoreUnavailable, common, permit=permit, relieve=relieve)
        self.gave_up = self._http.gave_up
        self.lost = self._http.lost

    @property
    def is_limited(self) -> bool:
        """Whether the store has lately asked for fewer requests."""
        return self._http.is_limited

    def close(self) -> None:
        """Close the connections; bodies that are still being read break off."""
        self._http.close()

    def get(
        self, url: str, asked: Asked, deadline: Deadline, cancellation: Cancellation
    ) -> Steps[tuple[Head, Body | None]]:
        """Request a range of an object; returns the head of the answer, and its body unless it has no bytes.

        The body has the requested bytes, or the whole object from a server without ranges.

        Raises:
            OutOfReach: the store did not answer other requests either.
            StoreError: as `read_head`, or the URL or a redirect is unsafe.
            DeadlinePassed: the answer did not come in time.
        """
        headers = {"Range": f"bytes={asked.start}-{asked.stop - 1}"}
        if asked.if_match is not None:
            headers["If-Match"] = asked.if_match
        what = f"GET of resource {asked.resource_id}, bytes {asked.start} to {asked.stop}"
        with traced(log, what) as ended:
            response = yield from self._get(url, headers, deadline, cancellation)
            ended(f"HTTP {response.status_code}")
        try:
            head = read_head(response.status_code, response.headers, asked.start, asked.stop, asked.size)
        except BaseException:
            response.close()
            raise
        if not isinstance(head.brings, Extent):
            response.close()
            return head, None
        return head, Body(head.brings, self._http.body(response), response.close, cancellation)

    def is_own_page(self, url: str, asked: Asked) -> Steps[bool]:
        """Whether a page saying that the object does not exist is the store's own, not a proxy's."""
        to = self._parse_given(url)
        headers = {"Range": f"bytes={asked.start}-{asked.start}"}
        return self._http.is_own_page(ProbeRequest(to.url, headers, to.target))

    def _get(
        self, text: str, headers: dict[str, str], deadline: Deadline, cancellation: Cancellation
    ) -> Steps[Answer]:
        to = self._parse_given(text)
        for _ in range(_REDIRECTS_MAX + 1):
            response = yield from self._http.request(to, headers, deadline, cancellation)
            if response.status_code not in _REDIRECT_STATUSES:
                return response
            response.close()
            location = redirected(to.url, response.headers.get("location", ""))
            to = Destination.of(parse_given(location, to.url), exact_target(location))
        raise TooManyRedirects("the store redirects too often")


def _parsed(text: str, giver: httpx.URL, origin_of: Callable[[str], Origin]) -> Destination:
    """A URL that the server of `giver` sent us, parsed; its request target is kept byte for byte.

    Raises:
        UnsafeUrl: as `parse_given`.
    """
    target = exact_target(text)
    if len(text) <= _USUAL_MAX and (usual := _USUAL.fullmatch(text)):
        return Destination(origin_of(usual["origin"]), target, text)
    return Destination.of(parse_given(text, giver), target)
