"""The client of the API, fed with anything: what it accepts obeys its contract, and the rest is an error."""

import math
import struct
import threading
import unicodedata
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from empirical_fs.api.client import Api
from empirical_fs.api.listing import PAGES_MAX, Listing
from empirical_fs.api.pages import Page
from empirical_fs.api.resource import Resource
from empirical_fs.api.url_cache import lifetime
from empirical_fs.cancellation import Cancellation
from empirical_fs.catalog.names import NAME_MAX
from empirical_fs.catalog.snapshot import Snapshot
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    ApiError,
    ApiUnavailable,
    KeyRefused,
    NotTheApi,
    ResourceGone,
    UnsafeUrl,
)
from empirical_fs.net.client import Http
from empirical_fs.net.http11 import Answer
from empirical_fs.net.incoming import Incoming
from empirical_fs.net.urls import parse_fetchable
from empirical_fs.server import Server
from tests.support.common import common
from tests.support.hostile import DATES, INTEGER_MAX, LISTINGS, SINGLES, VALID, outcome, spoiled
from tests.support.listed import fetched
from tests.unit.conftest import Arrived, Unread

KEY = "key-of-this-test"
TTL = 3000.0
CLOSING = threading.Event()
CLOSING.set()  # nothing is tried twice, so nothing waits


class Canned(Http):
    """Answers every request with the same status, headers and body."""

    def __init__(self, body: bytes, headers: list[tuple[bytes, bytes]], status: int) -> None:
        self._canned = body, headers, status
        self.gave_up = lambda *_: None

    def get(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        deadline: Deadline,
        cancellation: Cancellation | None = None,
    ) -> Answer:
        _, answered, status = self._canned
        fields = {name.decode().lower(): value.decode("latin-1") for name, value in answered}
        return Answer(Server.of(url), status, fields, Unread())

    def body(self, response: Answer) -> Incoming:
        rest = memoryview(self._canned[0])

        def read_into(view: memoryview) -> int:
            nonlocal rest
            count = min(len(view), len(rest))
            view[:count] = rest[:count]
            rest = rest[count:]
            return count

        return Arrived(read_into)


def answered(
    patch: pytest.MonkeyPatch, body: bytes, headers: dict[str, str] | None = None, status: int = 200
) -> Api:
    """A client of an API that answers so."""
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in (headers or {}).items()]
    patch.setattr("empirical_fs.api.client.Http", lambda *_, **__: Canned(body, raw, status))
    return Api(httpx.URL("https://api.example"), KEY, common(30, CLOSING))


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def check_resource(resource: Resource) -> None:
    """What `resource.py` promises of every resource."""
    assert type(resource.id) is int
    assert 0 <= resource.id < INTEGER_MAX
    assert isinstance(resource.name, str)
    assert resource.size is None or (type(resource.size) is int and 0 <= resource.size <= INTEGER_MAX)
    struct.pack("q", resource.updated_ns // 10**9)  # struct timespec
    if resource.link is not None:
        assert resource.link.isascii()
        assert resource.link.isprintable()
        assert httpx.URL(resource.link.replace("%", "")).scheme in ("http", "https")


def check_url(url: str) -> None:
    """What is promised of every URL, whatever it is."""
    fetchable = outcome(partial(parse_fetchable, url), UnsafeUrl)
    assert "pass" not in str(fetchable)
    for signer_time in (0.0, 1.8e9, 1e12):
        assert 0 <= lifetime(url, signer_time, TTL) <= TTL


def check_snapshot(resources: dict[int, Resource]) -> None:
    """What `catalog.py` and `names.py` promise of the directory."""
    snapshot = Snapshot(resources)
    assert {entry.resource.id for entry in snapshot.by_name.values()} == set(resources)
    assert len(snapshot.by_name) == len(resources)
    for name, entry in snapshot.by_name.items():
        assert name == entry.name
        assert name not in ("", ".", "..")
        assert len(name.encode()) <= NAME_MAX
        assert not any(c == "/" or unicodedata.category(c) in ("Cc", "Cs") for c in name)
        struct.pack("Qq", entry.inode, entry.size)
        assert entry.inode > 1
        if entry.content is not None:
            assert entry.content.count(b"\n") == 2
    assert snapshot.size >= 0
    assert snapshot.changed_since(snapshot) == {}


def check_page(page: Page) -> None:
    """What `api.py` promises of a page, and what is made of it."""
    for resource in page.resources:
        check_resource(resource)
    for url in page.urls.values():
        check_url(url)
    known = {identity for identity in page.ids if identity is not None}
    assert {resource.id for resource in page.resources} <= known
    assert page.urls.keys() <= known
    assert {error.resource_id for error in page.malformed} <= {*known, None}
    assert len(page.resources) + len(page.malformed) <= len(page.ids)
    assert all(str(error) for error in page.malformed)
    counts = [each for each in (page.total, page.total_pages) if each is not None]
    assert min(counts, default=0) >= 0
    check_snapshot({resource.id: resource for resource in page.resources})
    if page.last_number is None or page.last_number <= 2 or page.last_number > PAGES_MAX:
        listing = outcome(lambda: fetched(lambda _: page), NotTheApi, ApiUnavailable)
        if isinstance(listing, Listing):
            assert {each.id for each in listing.resources} == {each.id for each in page.resources}


@settings(max_examples=200)
@given(body=spoiled(LISTINGS))
@example(body=b"[" * 100_000)
@example(body=b'{"data":{"resources":[{"id":7,"x":' + b"[" * 100_000)
@example(body=b'{"data":{"resources":[' + b'{"id":' * 100_000 + b"}" * 100_000 + b"]}}")
@example(body=b'{"data":' * 900 + b"1" + b"}" * 900)
@example(body=b"\xef\xbb\xbf{}")
@example(body=b"\xff\xfe\x00\xd8")
def test_a_page_of_whatever_comes(patch: pytest.MonkeyPatch, body: bytes) -> None:
    """Any bytes are a page of sound resources with sound names, or not what the API answers."""
    api = answered(patch, body)
    page = outcome(lambda: api.page(1, Deadline.after(10), {}), NotTheApi)
    if isinstance(page, Page):
        check_page(page)
    else:
        assert KEY not in str(page)


@settings(max_examples=120)
@given(body=spoiled(SINGLES))
@example(body=b'{"data":{"resource":' + b"[" * 100_000)
def test_a_resource_of_whatever_comes(patch: pytest.MonkeyPatch, body: bytes) -> None:
    """Any bytes are the resource that was asked for, one that is gone, or not what the API answers."""
    api = answered(patch, body)
    answer = outcome(lambda: api.resource(7, Deadline.after(10)).resource, NotTheApi, ResourceGone)
    if isinstance(answer, Resource):
        assert answer.id == 7
        check_resource(answer)
    else:
        assert KEY not in str(answer)


@settings(max_examples=200)
@given(
    date=DATES,
    after=DATES,
    status=st.sampled_from([200, 429, 503]) | st.integers(100, 999),
    by_id=st.booleans(),
)
@example(date="Mon, 01 Jan 0001 00:00:00 +2359", after="9" * 5000, status=200, by_id=True)
@example(date="Fri, 31 Dec 9999 23:59:59 -2359", after="9" * 5000, status=503, by_id=False)
def test_whatever_status_and_clock(
    patch: pytest.MonkeyPatch, date: str, after: str, status: int, *, by_id: bool
) -> None:
    """Any status is an answer or a documented error, and the server's clock a number of seconds or none."""
    api = answered(patch, VALID, {"date": date, "retry-after": after}, status)
    deadline = Deadline.after(10)
    clock = outcome(
        lambda: api.resource(7, deadline).server_time if by_id else api.page(1, deadline, {}).server_time,
        *(ApiUnavailable, KeyRefused, NotTheApi, ResourceGone),
    )
    assert isinstance(clock, ApiError) == (status != 200)
    if isinstance(clock, ApiUnavailable):
        assert clock.retry_after is None or clock.retry_after >= 0
    elif not isinstance(clock, ApiError):
        assert clock is None or math.isfinite(clock)
