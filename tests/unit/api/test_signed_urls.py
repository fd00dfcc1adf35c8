"""Signed URLs: kept no longer than they live, and signed again by one request for all who wait."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.api.client import Api
from empirical_fs.api.decoding import Signed
from empirical_fs.api.pages import Page
from empirical_fs.api.resource import Resource
from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.api.url_cache import lifetime
from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import (
    ApiError,
    ApiUnavailable,
    DeadlinePassed,
    EmpiricalError,
    KeyRefused,
    NotTheApi,
    ResourceGone,
)
from empirical_fs.statistics import Statistics
from tests.support.harness import wait_until
from tests.unit.conftest import NotingDeadline

PATIENCE = 10.0
TTL = 3000.0


def url(number: int, expiry: float | None = None) -> str:
    return f"https://x/o?sig={number}" + (f"&Expires={int(expiry)}" if expiry is not None else "")


def listed(resource_id: int) -> Resource:
    return Resource(id=resource_id, name="a", size=1, updated_ns=0, link=None)


RESOURCE = listed(1)


class FakeApi(Api):
    """An API of one resource that signs with a number, counting up."""

    def __init__(self) -> None:
        self.life: float | None = None
        """Seconds after which what is signed expires; None if the URL does not say."""
        self.now = 1_800_000_000.0
        self.by_id_error: EmpiricalError | None = None
        self.is_listed = True
        self.before_answer: Callable[[], object] = lambda: None
        self.signed: list[str] = []
        self.calls: list[str] = []

    def _sign(self) -> str:
        self.signed.append(url(len(self.signed), None if self.life is None else self.now + self.life))
        return self.signed[-1]

    def resource(self, resource_id: int, deadline: Deadline) -> Signed:
        self.calls.append("resource")
        self.before_answer()
        if self.by_id_error is not None:
            raise self.by_id_error
        return Signed(RESOURCE, self._sign(), self.now)

    def page(self, number: int, deadline: Deadline, known: Mapping[int, Resource]) -> Page:
        self.calls.append("page")
        resources = (RESOURCE,) if self.is_listed else ()
        return Page(
            resources=resources,
            ids=tuple(resource.id for resource in resources),
            malformed=(),
            urls={1: self._sign()} if self.is_listed else {},
            total=len(resources),
            total_pages=len(resources),
            server_time=self.now,
        )


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def signer(api: Api, ttl: float = TTL) -> SignedUrls:
    return SignedUrls(api, ttl, PATIENCE, Statistics())


def soon() -> Deadline:
    return Deadline.after(PATIENCE)


@given(st.integers(10**9, 10**10), st.floats(-5000, 5000), st.floats(0, 3600))
def test_lifetime_is_never_too_long(expiry: int, ahead: float, ttl: float) -> None:
    """A URL lives no longer than the ttl, and a tenth or a minute less than it declares."""
    now = expiry - ahead
    ahead = expiry - now
    life = lifetime(url(1, expiry), now, ttl)
    assert 0 <= life <= ttl
    assert life == 0 or life <= ahead - min(60.0, ahead * 0.1) + 1e-6
    assert life > 0 or ahead <= 0 or ttl == 0


@given(st.floats(0, 3600), st.floats(0, 1e10))
def test_lifetime_of_what_declares_nothing(ttl: float, now: float) -> None:
    """A URL that declares no expiry lives for the ttl."""
    assert lifetime(url(1), now, ttl) == ttl


def test_lifetime_by_sigv4() -> None:
    """SigV4's date and expiry count on the signer's clock, less a minute."""
    presigned = "https://x/o?X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=a"
    midnight = 1767225600.0
    assert lifetime(presigned, midnight, 3000) == 3000
    assert lifetime(presigned, midnight, 3599) == 3540
    assert lifetime(presigned, midnight + 3600, 3000) == 0


def test_signed_once(api: FakeApi) -> None:
    """A URL is signed at its first use and kept."""
    urls = signer(api)
    assert [urls.get(1, soon()) for _ in range(3)] == [url(0)] * 3
    assert api.calls == ["resource"]


def test_listing_fills_the_cache(api: FakeApi) -> None:
    """What a listing brought is not signed again."""
    urls = signer(api)
    urls.list_resources({})
    assert urls.get(1, soon()) == url(0)
    assert api.calls == ["page"]


def test_ttl_ends(api: FakeApi) -> None:
    """A URL is signed again when its ttl is over on the aging clock."""
    urls = signer(api, ttl=0.05)
    begun = aging_clock()
    first = urls.get(1, soon())
    while urls.get(1, soon()) == first:
        assert aging_clock() < begun + 0.05 + 1
    assert aging_clock() >= begun + 0.05
    assert len(api.calls) == 2


@pytest.mark.parametrize("life", [0, -100])
def test_expired_when_it_comes(api: FakeApi, life: float) -> None:
    """A URL that is already over is handed out, for the store may know better, and not kept."""
    api.life = life
    urls = signer(api)
    assert [urls.get(1, soon()) for _ in range(2)] == [url(0, api.now + life), url(1, api.now + life)]


def test_wrong_clock_here_does_not_matter(api: FakeApi) -> None:
    """Expiry counts on the clock of whoever signed: one that is years off keeps its URLs."""
    api.now, api.life = time.time() - 3 * 365 * 86400, 3600
    urls = signer(api)
    assert urls.get(1, soon()) == urls.get(1, soon())


def test_one_request_for_all_who_wait(api: FakeApi, pool: ThreadPoolExecutor) -> None:
    """However many readers want a URL, one request signs it."""
    urls, waiting, go = signer(api), threading.Semaphore(0), threading.Event()
    api.before_answer = go.wait

    def get() -> str:
        waiting.release()
        return urls.get(1, soon())

    futures = [pool.submit(get) for _ in range(8)]
    for _ in futures:
        assert waiting.acquire(timeout=PATIENCE)
    go.set()
    assert {future.result(PATIENCE) for future in futures} == {url(0)}
    assert api.calls == ["resource"]


def test_who_waits_is_not_failed_by_anothers_deadline(api: FakeApi, pool: ThreadPoolExecutor) -> None:
    """A reader with time left gets its URL although the one whose request it shares had none left."""
    urls, asked, waiting, go = signer(api), threading.Event(), threading.Semaphore(0), threading.Event()

    def answer() -> None:
        asked.set()
        assert go.wait(PATIENCE)
        if len(api.calls) == 1:
            raise DeadlinePassed("the time of the first one is over")

    api.before_answer = answer
    first = pool.submit(urls.get, 1, soon())
    assert asked.wait(PATIENCE)
    second = pool.submit(urls.get, 1, NotingDeadline(soon().at, noted=waiting))
    assert waiting.acquire(timeout=PATIENCE)
    go.set()
    first.exception(PATIENCE)
    assert second.result(PATIENCE) == url(0)


def test_renewed(api: FakeApi) -> None:
    """A refused URL is signed again although it has not expired by our knowledge."""
    urls = signer(api)
    assert urls.renew(1, urls.get(1, soon()), soon()) == url(1)
    assert urls.get(1, soon()) == url(1)


def test_renewed_once_for_all(api: FakeApi) -> None:
    """Who comes second with the same refused URL gets the new one, without a request."""
    urls = signer(api)
    refused = urls.get(1, soon())
    assert [urls.renew(1, refused, soon()) for _ in range(3)] == [url(1)] * 3
    assert len(api.calls) == 2


def test_renewed_by_a_listing(api: FakeApi) -> None:
    """A listing that came since the URL was refused has the newer one."""
    urls = signer(api)
    refused = urls.get(1, soon())
    urls.list_resources({})
    assert urls.renew(1, refused, soon()) == url(1)
    assert api.calls == ["resource", "page"]


@pytest.mark.parametrize("error", [ResourceGone(1), NotTheApi("HTML")])
def test_listing_is_the_fallback(api: FakeApi, error: ApiError) -> None:
    """Where the API serves no resource by its id, the listing has the URL."""
    api.by_id_error = error
    urls = signer(api)
    assert urls.get(1, soon()) == url(0)
    assert api.calls == ["resource", "page"]
    assert urls.get(1, soon()) == url(0)
    assert len(api.calls) == 2


@pytest.mark.parametrize("error", [ResourceGone(1), NotTheApi("HTML")])
def test_gone_when_nobody_has_it(api: FakeApi, error: ApiError) -> None:
    """What neither the id nor the listing leads to is gone."""
    api.by_id_error, api.is_listed = error, False
    with pytest.raises(ResourceGone):
        signer(api).get(1, soon())
    assert api.calls == ["resource", "page"]


@pytest.mark.parametrize("error", [KeyRefused(401), ApiUnavailable("503"), DeadlinePassed("late")])
def test_other_errors_are_the_callers(api: FakeApi, error: EmpiricalError) -> None:
    """Errors that say nothing about the resource go to the caller, and the next one asks again."""
    api.by_id_error = error
    urls = signer(api)
    with pytest.raises(type(error)):
        urls.get(1, soon())
    api.by_id_error = None
    assert urls.get(1, soon()) == url(0)
    assert "page" not in api.calls


class ManyApi(FakeApi):
    """An API of so many resources, which answers by ids when it is told to."""

    def __init__(self, resources: int, per_page: int) -> None:
        super().__init__()
        self.pages = [
            range(first, min(first + per_page, resources + 1)) for first in range(1, resources + 1, per_page)
        ]
        self.asked: list[int] = []
        self.answers = threading.Event()
        self.generation = 0

    def url(self, resource_id: int) -> str:
        return url(resource_id + self.generation * 1000)

    def resource(self, resource_id: int, deadline: Deadline) -> Signed:
        self.asked.append(resource_id)
        assert self.answers.wait(PATIENCE)
        return Signed(listed(resource_id), self.url(resource_id), self.now)

    def page(self, number: int, deadline: Deadline, known: Mapping[int, Resource]) -> Page:
        self.calls.append("page")
        ids = tuple(self.pages[number - 1])
        total = sum(map(len, self.pages))
        return Page(
            resources=tuple(map(listed, ids)),
            ids=ids,
            malformed=(),
            urls={each: self.url(each) for each in ids},
            total=total,
            total_pages=len(self.pages),
            server_time=self.now,
        )


@pytest.mark.parametrize(("pages", "singly"), [(1, 16), (3, 16), (20, 20)])
def test_many_that_are_missing_are_signed_by_the_listing(pages: int, singly: int) -> None:
    """Where more are missing at once than the listing has pages, it is asked, once, in place of the rest."""
    api = ManyApi(60, 60 // pages)
    urls = signer(api)
    urls.list_resources({})
    refused = {number: urls.get(number, soon()) for number in range(1, 61)}
    api.calls.clear()
    api.generation = 1
    with ThreadPoolExecutor(60) as pool:
        futures = {number: pool.submit(urls.renew, number, old, soon()) for number, old in refused.items()}
        wait_until(lambda: sum(each.done() for each in futures.values()) == 60 - singly, "the listing's")
        api.answers.set()
        assert {number: each.result(PATIENCE) for number, each in futures.items()} == {
            number: api.url(number) for number in range(1, 61)
        }
    assert len(api.asked) == singly
    # Whoever comes just as the listing has come may ask for another one.
    assert len(api.calls) <= 3 * pages


def test_few_that_are_missing_are_signed_by_their_ids() -> None:
    """For a few, a listing of any length is more than was asked for."""
    api = ManyApi(24, 24)
    urls = signer(api, ttl=0.0)
    urls.list_resources({})
    api.answers.set()
    assert [urls.get(number, soon()) for number in range(1, 25)] == [url(each) for each in range(1, 25)]
    assert api.calls == ["page"]


class PagedApi(FakeApi):
    """An API that lists these ids, 100 on a page."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.ids = ids

    def page(self, number: int, deadline: Deadline, known: Mapping[int, Resource]) -> Page:
        self.calls.append(f"page {number}")
        ids = self.ids[(number - 1) * 100 : number * 100]
        return Page(
            resources=tuple(map(listed, ids)),
            ids=tuple(ids),
            malformed=(),
            urls={each: url(each) for each in ids},
            total=len(self.ids),
            total_pages=-(-len(self.ids) // 100),
            server_time=self.now,
        )


def test_of_a_listing_of_another_process_few_are_signed_singly_and_then_whole_pages() -> None:
    ids = list(range(1000, 0, -1))
    api = PagedApi(ids)
    urls = signer(api)
    urls.listed_elsewhere(ids)
    for each in ids:
        assert urls.get(each, soon())
    assert api.calls == ["resource"] * 4 + [f"page {number}" for number in range(1, 11)]


def test_one_resource_that_is_signed_again_and_again_takes_no_page() -> None:
    api = PagedApi([1])
    urls = signer(api, ttl=0)
    urls.listed_elsewhere([1])
    for _ in range(20):
        urls.get(1, soon())
    assert set(api.calls) == {"resource"}


def test_once_the_pages_are_others_the_listing_is_fetched_whole() -> None:
    ids = list(range(1000, 0, -1))
    api = PagedApi(list(range(3000, 1000, -1)) + ids)
    urls = signer(api)
    urls.listed_elsewhere(ids)
    for each in ids:
        assert urls.get(each, soon())
    # Four singly, four that are not where they were, each with a page in vain, and 30 pages.
    assert api.calls.count("resource") == 8
    assert len(api.calls) <= 8 + 4 + 30
