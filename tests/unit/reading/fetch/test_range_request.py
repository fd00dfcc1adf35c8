"""One range of one version: resumed, signed or asked for again, and never mixed with another version."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    BadAnswer,
    Closing,
    ContentChanged,
    EmpiricalError,
    KeyRefused,
    OtherLength,
    StoreUnavailable,
    UnsafeUrl,
    UrlRefused,
)
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.concurrency import LEFT_OPEN
from empirical_fs.reading.fetch.object_store import IN_FLIGHT, Body, Store
from empirical_fs.reading.fetch.range_request import Filled, Ranges, WholeInstead
from empirical_fs.work.waits import drive
from tests.support.common import common
from tests.unit.conftest import Answer, Asked, Server

DATA = bytes(range(256)) * 1024
SIZE = len(DATA)
TAG = '"v1"'


class FakeUrls(SignedUrls):
    """Signs with a number, counting up."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.signed = 0
        self.error: EmpiricalError | None = None

    def known(self, resource_id: int) -> str | None:
        return None

    def get(self, resource_id: int, deadline: Deadline) -> str:
        if self.error is not None:
            raise self.error
        return f"{self.base}/o?sig={self.signed}"

    def renew(self, resource_id: int, refused: str, deadline: Deadline) -> str:
        self.signed += 1
        return self.get(resource_id, deadline)


class Collected:
    """A sink that keeps what it gets, piece by piece."""

    def __init__(self) -> None:
        self.start = 0
        self.got = bytearray()
        self.cancellation = Cancellation()
        self._room = bytearray(50_000)

    def room(self) -> memoryview:
        return memoryview(self._room)

    def advance(self, count: int) -> None:
        self.got += self._room[:count]

    def has_kept(self, at: int, again: memoryview) -> bool:
        skipped = max(self.start - at, 0)
        kept = self.got[at + skipped - self.start :][: len(again) - skipped]
        return again[skipped:] == kept


class Reading:
    """Ranges of one content from the server of this test."""

    def __init__(self, server: Server, store: Store, patience: float = 5) -> None:
        self.server = server
        self.store = store
        self.urls = FakeUrls(server.url)
        self.resource = Resource(id=1, name="a", size=SIZE, updated_ns=0, link=None)
        self.listed: Resource | None = self.resource
        self.content = Content(self.resource, SIZE)
        self.ranges = Ranges(self.store, self.urls, lambda _: self.listed, patience, threading.Event())
        self.sink = Collected()

    @property
    def got(self) -> bytes:
        """All bytes that were handed over."""
        return bytes(self.sink.got)

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of one fetch."""
        before = len(self.got)
        assert drive(self.ranges.fetch(self.content, start, stop, self.sink)) == Filled()
        return self.got[before:]

    def asked_for(self) -> list[str]:
        return [asked.headers["range"] for asked in self.server.asked]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store(httpx.URL("http://127.0.0.1"), common(5))
    yield store
    store.close()


@pytest.fixture
def reading(server: Server, store: Store) -> Reading:
    server.answer = in_order()
    return Reading(server, store)


def served(
    asked: Asked, *, cut: int | None = None, status: int = 206, etag: str = TAG, total: int = SIZE
) -> Answer:
    """What a good store answers, its body broken off after `cut` bytes."""
    first, last = asked.headers["range"].removeprefix("bytes=").split("-")
    body = DATA[int(first) : int(last) + 1]
    headers = {
        "Content-Range": f"bytes {first}-{last}/{total}",
        "Content-Length": str(len(body)),
        "ETag": etag,
    }
    return Answer(status, body[:cut], headers)


def in_order(*answers: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    """These answers in turn, then those of a good store."""
    turns = iter(answers)

    def answer(asked: Asked) -> Answer:
        return next(turns, served)(asked)

    return answer


def always(answer: Answer) -> Callable[[Asked], Answer]:
    return lambda _: answer


@pytest.mark.parametrize("status", [200, 206])
def test_a_range(reading: Reading, status: int) -> None:
    """The bytes asked for come by one range request, without the key, and uncompressed."""
    reading.server.answer = lambda asked: served(asked, status=status)
    assert reading.fetch(100, 5000) == DATA[100:5000]
    asked = reading.server.asked[0]
    assert reading.asked_for() == ["bytes=100-4999"]
    assert "authorization" not in asked.headers
    assert "if-match" not in asked.headers
    assert asked.headers["accept-encoding"] == "identity"


def test_if_match(reading: Reading) -> None:
    """From the second request on the ETag of the first answer is demanded."""
    reading.fetch(0, 10)
    reading.fetch(10, 20)
    assert [asked.headers.get("if-match") for asked in reading.server.asked] == [None, TAG]


def test_a_weak_etag_is_not_demanded(reading: Reading) -> None:
    """A weak ETag never matches by If-Match, so it is only compared."""
    reading.server.answer = lambda asked: served(asked, etag='W/"v1"')
    assert reading.fetch(0, 10) == DATA[:10]
    assert reading.fetch(10, 20) == DATA[10:20]
    assert all("if-match" not in asked.headers for asked in reading.server.asked)


@pytest.mark.parametrize("cut", [0, 1, 100, 70_000, 199_999])
def test_a_body_that_breaks_off_is_resumed(reading: Reading, cut: int) -> None:
    """What came of a body that broke off is kept, and the rest asked for."""
    reading.server.answer = in_order(lambda asked: served(asked, cut=cut))
    assert reading.fetch(0, 200_000) == DATA[:200_000]
    assert reading.asked_for() == ["bytes=0-199999", f"bytes={cut}-199999"]


def test_a_body_that_breaks_off_again_and_again(reading: Reading) -> None:
    """A body that breaks off after a good part each time arrives all the same, without long waits."""
    reading.server.answer = lambda asked: served(asked, cut=70_000)
    assert reading.fetch(0, 210_000) == DATA[:210_000]
    assert reading.asked_for() == ["bytes=0-209999", "bytes=70000-209999", "bytes=140000-209999"]


def test_never_two_versions(reading: Reading) -> None:
    """A body that is resumed after the object changed is an error, and the content is over."""
    reading.server.answer = in_order(
        lambda asked: served(asked, cut=70_000), lambda asked: served(asked, etag='"v2"')
    )
    with pytest.raises(ContentChanged):
        reading.fetch(0, 200_000)
    assert reading.got == DATA[:70_000]
    assert reading.content.is_over


@pytest.mark.parametrize(
    "answer", [Answer(412), Answer(416), Answer(206, b"x", {"Content-Range": "bytes 0-0/9"})]
)
def test_changes_end_the_content(reading: Reading, answer: Answer) -> None:
    """An answer that shows another object ends the content."""
    reading.server.answer = always(answer)
    with pytest.raises(ContentChanged):
        reading.fetch(0, 10)
    assert reading.content.is_over


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_url_is_signed_again(reading: Reading, status: int) -> None:
    """A refused URL is signed again and the reader never notices."""
    reading.server.answer = in_order(always(Answer(status, b"<Error/>")))
    assert reading.fetch(0, 10) == DATA[:10]
    assert [asked.path for asked in reading.server.asked] == ["/o?sig=0", "/o?sig=1"]


def test_signed_again_in_the_middle(reading: Reading) -> None:
    """A URL that expires while a body is resumed is signed again too."""
    reading.server.answer = in_order(lambda asked: served(asked, cut=70_000), always(Answer(403)))
    assert reading.fetch(0, 200_000) == DATA[:200_000]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UrlRefused), (401, UrlRefused), (403, UrlRefused), (404, ContentChanged), (410, ContentChanged)],
)
def test_refused_twice(reading: Reading, status: int, error: type[EmpiricalError]) -> None:
    """A refusal of the newly signed URL too is believed; an object that is not there is gone."""
    reading.server.answer = always(Answer(status))
    with pytest.raises(error):
        reading.fetch(0, 10)
    assert len(reading.server.asked) == 2
    assert reading.content.is_over == (error is ContentChanged)


def test_a_busy_store(reading: Reading) -> None:
    """A store that is busy is asked again."""
    reading.server.answer = in_order(always(Answer(503)), always(Answer(429)))
    assert reading.fetch(0, 10) == DATA[:10]


def test_a_store_that_stays_busy(server: Server, store: Store) -> None:
    """A store that stays busy fails the fetch when patience is over."""
    reading = Reading(server, store, patience=0.3)
    server.answer = always(Answer(503))
    with pytest.raises(StoreUnavailable):
        reading.fetch(0, 10)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(206, DATA[:10]),
        Answer(206, DATA[:10], {"Content-Range": f"bytes 10-19/{SIZE}"}),
        Answer(200, DATA[:10], {"Content-Range": f"bytes 0-9/{SIZE + 1}", "Content-Encoding": "gzip"}),
        Answer(302, headers={"Location": "/o"}),
        Answer(204),
    ],
)
def test_nonsense_is_an_error(reading: Reading, answer: Answer) -> None:
    """An answer that does not fit is an error, of which no byte is handed over."""
    reading.server.answer = always(answer)
    with pytest.raises(BadAnswer):
        reading.fetch(0, 10)
    assert reading.got == b""


def test_redirects(reading: Reading) -> None:
    """A few redirects are followed, with the range and without a key."""
    reading.server.answer = in_order(
        always(Answer(307, headers={"Location": "/a?b=c"})), always(Answer(302, headers={"Location": "/d"}))
    )
    assert reading.fetch(5, 10) == DATA[5:10]
    assert [asked.path for asked in reading.server.asked] == ["/o?sig=0", "/a?b=c", "/d"]
    assert reading.asked_for() == ["bytes=5-9"] * 3


@pytest.mark.parametrize(
    "location", ["http://example.org/", "file:///etc/passwd", "https://u:p@example.org/", "http://["]
)
def test_unsafe_redirects(reading: Reading, location: str) -> None:
    """A redirect to where nothing must be fetched from is an error, by another URL too."""
    reading.server.answer = always(Answer(302, headers={"Location": location}))
    with pytest.raises(UnsafeUrl):
        reading.fetch(0, 10)
    assert len(reading.server.asked) == 2


@pytest.mark.parametrize("base", ["http://example.org", "file://", "https://user@example.org", ""])
def test_unsafe_urls(reading: Reading, base: str) -> None:
    """A URL from which nothing must be fetched is an error without a request."""
    reading.urls.base = base
    with pytest.raises(UnsafeUrl):
        reading.fetch(0, 10)


def test_an_impossible_port(server: Server, store: Store) -> None:
    """A URL with a port that cannot be is an error of ours, not one of the socket's."""
    reading = Reading(server, store, patience=0.2)
    reading.urls.base = "https://localhost:99999999"
    with pytest.raises(EmpiricalError):
        reading.fetch(0, 10)


def test_signing_that_fails(reading: Reading) -> None:
    """The error of signing is the fetch's."""
    reading.urls.error = KeyRefused(401)
    with pytest.raises(KeyRefused):
        reading.fetch(0, 10)


def test_a_server_without_ranges(reading: Reading) -> None:
    """The whole body of a server without ranges is handed back, open, and can be read to its end."""
    reading.server.answer = always(Answer(200, DATA))
    fetched = drive(reading.ranges.fetch(reading.content, 100, 200, reading.sink))
    assert isinstance(fetched, WholeInstead)
    assert reading.got == b""
    again = reading.ranges.fetch(reading.content, 0, SIZE, reading.sink, body=fetched.body)
    assert drive(again) == Filled()
    assert reading.got == DATA
    assert len(reading.server.asked) == 1


def test_a_whole_body_that_breaks_off(reading: Reading) -> None:
    """A download from a server without ranges that broke off is not handed over twice."""
    cut = Answer(200, DATA[:150_000], {"Content-Length": str(SIZE)})
    reading.server.answer = in_order(always(cut), always(Answer(200, DATA)))
    assert reading.fetch(0, SIZE) == DATA


def untied(asked: Asked, **shape: Any) -> Answer:
    """What a store answers that sends no validators."""
    return served(asked, etag="", **shape)


def test_an_untied_body_that_breaks_off_starts_again(reading: Reading) -> None:
    """Without a validator, what broke off is asked for from its start, and what came before is compared."""
    reading.server.answer = in_order(lambda asked: untied(asked, cut=70_000), untied)
    reading.sink.start = 1000
    assert reading.fetch(1000, 200_000) == DATA[1000:200_000]
    assert reading.asked_for() == ["bytes=1000-199999"] * 2


def test_a_store_without_validators_that_sends_less(reading: Reading) -> None:
    """A store that sends less than was asked for, and no validators, is asked for the rest, in good order."""

    def less(asked: Asked) -> Answer:
        first = int(asked.headers["range"].removeprefix("bytes=").split("-")[0])
        body = DATA[first : first + 20_000]
        return Answer(206, body, {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{SIZE}"})

    reading.server.answer = less
    assert reading.fetch(0, 200_000) == DATA[:200_000]
    assert len(reading.server.asked) <= 2 * 10


def test_an_untied_body_is_never_of_two_versions(reading: Reading) -> None:
    """Without a validator, bytes that come again and differ end the content."""
    other = Answer(200, DATA[:69_999] + b"x" + DATA[70_000:])
    cut = Answer(200, DATA[:70_000], {"Content-Length": str(SIZE)})
    reading.server.answer = in_order(always(cut), always(other))
    with pytest.raises(ContentChanged):
        reading.fetch(0, SIZE)
    assert reading.got == DATA[:70_000]
    assert reading.content.is_over


def test_an_untied_answer_of_another_listing(reading: Reading) -> None:
    """When the listing has another version, untied answers are not of the old one."""
    reading.server.answer = untied
    assert reading.fetch(0, 10) == DATA[:10]
    reading.listed = replace(reading.resource, updated_ns=1)
    with pytest.raises(ContentChanged):
        reading.fetch(10, 20)
    assert reading.got == DATA[:10]


def test_a_renamed_object(reading: Reading) -> None:
    """When the listing has another version, an object with the same ETag is served all the same."""
    assert reading.fetch(0, 10) == DATA[:10]
    reading.listed = replace(reading.resource, updated_ns=1)
    assert reading.fetch(10, 20) == DATA[10:20]


@pytest.mark.parametrize(
    "page",
    [
        Answer(200, b"<html>sign in</html>"),
        Answer(412, b"", {"ETag": f"W/{TAG}"}),
        Answer(416, b"", {"Content-Range": f"bytes */{SIZE}"}),
        Answer(206, DATA[:5], {"Content-Range": f"bytes 0-4/{SIZE}"}),
        Answer(206, DATA[:10]),
        Answer(204),
    ],
)
def test_an_answer_of_no_use_is_asked_for_again(reading: Reading, page: Answer) -> None:
    """An answer that says nothing of the object does not end the content, and another one is asked for."""
    first = served if page.status in (412, 416) else always(page)
    reading.server.answer = in_order(first, always(page))
    assert reading.fetch(0, 10) == DATA[:10]
    assert not reading.content.is_over
    if first is served:
        reading.sink.start = 10
        del reading.sink.got[:]
        assert reading.fetch(10, 20) == DATA[10:20]
        assert not reading.content.is_over


def test_a_tag_that_becomes_weak(reading: Reading) -> None:
    """A server that marks its tags as weak meets no condition: it is asked without one."""
    assert reading.fetch(0, 10) == DATA[:10]

    def weakened(asked: Asked) -> Answer:
        if "if-match" in asked.headers:
            return Answer(412, b"", {"ETag": f"W/{TAG}"})
        return served(asked, etag=f"W/{TAG}")

    reading.server.answer = weakened
    assert reading.fetch(10, 20) == DATA[10:20]
    before = len(reading.server.asked)
    assert reading.fetch(20, 30) == DATA[20:30]
    assert len(reading.server.asked) == before + 1
    reading.server.answer = lambda asked: served(asked, etag='W/"other"')
    with pytest.raises(ContentChanged):
        reading.fetch(30, 40)


@pytest.mark.parametrize(("status", "page"), [(403, True), (401, True), (400, True), (403, False)])
def test_a_page_that_refuses(reading: Reading, status: int, *, page: bool) -> None:
    """A web page is of something in between, and asked again; the store's own word is believed."""
    headers = {"Content-Type": "text/html"} if page else {"Content-Type": "application/xml"}
    refusal = always(Answer(status, b"<x>no", headers))
    reading.server.answer = in_order(refusal, refusal, refusal, refusal)
    if page:
        assert reading.fetch(0, 10) == DATA[:10]
    else:
        with pytest.raises(UrlRefused):
            reading.fetch(0, 10)


def test_answers_of_no_use_end_a_fetch(reading: Reading) -> None:
    """After a few answers of no use the fetch fails, without waiting for the end of patience."""
    reading.server.answer = always(Answer(200, b"<html>sign in</html>"))
    with pytest.raises(OtherLength):
        reading.fetch(0, 10)
    assert 1 < len(reading.server.asked) < 10
    assert not reading.content.is_over


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize("body", [DATA, DATA[5:16], DATA[5:14], b""])
def test_a_part_of_unknown_length_is_checked_before_it_is_believed(
    reading: Reading, status: int, body: bytes
) -> None:
    """No byte of a body is handed on that is not as long as its Content-Range says."""
    head = {"Content-Range": f"bytes 5-14/{SIZE}", "Content-Length": "", "ETag": TAG}
    reading.ranges = Ranges(reading.store, reading.urls, lambda _: reading.listed, 1, threading.Event())
    reading.server.answer = always(Answer(status, body, head))
    with pytest.raises((BadAnswer, StoreUnavailable)):
        reading.fetch(5, 15)
    assert reading.got == b""


def test_a_part_of_unknown_length(reading: Reading) -> None:
    """A body without a Content-Length that is as long as its Content-Range says is the part."""
    head = {"Content-Range": f"bytes 5-14/{SIZE}", "Content-Length": "", "ETag": TAG}
    reading.server.answer = always(Answer(206, DATA[5:15], head))
    assert reading.fetch(5, 15) == DATA[5:15]


class Endless:
    """A store that tells no total, with an object that may be longer than the listing says."""

    def __init__(self, size: int) -> None:
        self.data = DATA + DATA[: size - SIZE] if size > SIZE else DATA[:size]

    def __call__(self, asked: Asked) -> Answer:
        first, last = (int(each) for each in asked.headers["range"].removeprefix("bytes=").split("-"))
        if first >= len(self.data):
            return Answer(416)
        body = self.data[first : last + 1]
        return Answer(206, body, {"Content-Range": f"bytes {first}-{first + len(body) - 1}/*", "ETag": TAG})


def test_a_total_that_is_not_told(reading: Reading) -> None:
    """A store that tells no total is asked once whether there is more than the listing says."""
    reading.server.answer = Endless(SIZE)
    assert reading.fetch(0, 10) == DATA[:10]
    assert reading.fetch(10, 20) == DATA[10:20]
    assert reading.asked_for() == ["bytes=0-9", f"bytes={SIZE}-{SIZE}", "bytes=10-19"]


def test_an_object_that_is_longer_than_listed(reading: Reading) -> None:
    """An object that has more bytes than the listing says is never cut off without a word."""
    reading.server.answer = Endless(SIZE + 1)
    with pytest.raises(ContentChanged):
        reading.fetch(0, 10)
    assert reading.got == b""


@pytest.mark.parametrize(("etag", "is_over"), [(TAG, False), ('"v2"', True)])
def test_asked_again(reading: Reading, etag: str, *, is_over: bool) -> None:
    """Asked again, the store says by one byte whether it still has the same object."""
    reading.fetch(5, 10)
    reading.server.answer = lambda asked: served(asked, etag=etag)
    with pytest.raises(ContentChanged) if is_over else nullcontext():
        drive(reading.ranges.ask_again(reading.content))
    assert reading.asked_for() == ["bytes=5-9", "bytes=0-0"]
    assert reading.content.is_over is is_over


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (Answer(206, b"x", {"Content-Range": "bytes 0-0/77"}), 77),
        (Answer(200, b"x" * 5), 5),
        (Answer(200, b""), 0),
        (Answer(416, b"", {"Content-Range": "bytes */0"}), 0),
    ],
)
def test_measured(reading: Reading, answer: Answer, size: int) -> None:
    """The size of an object is found by a GET of its first byte, signed again where it is refused."""
    reading.server.answer = in_order(always(Answer(503)), always(Answer(403)), always(answer))
    is_final = answer.status == 416
    assert reading.ranges.measure(replace(reading.resource, size=None)) == (size, is_final)
    assert reading.asked_for() == ["bytes=0-0"] * 3


def test_an_api_on_the_network_cannot_send_us_to_this_machine(server: Server) -> None:
    """No listing from elsewhere has us call on a service of the user's own."""
    store = Store(httpx.URL("https://api.example"), common(5))
    reading = Reading(server, store)
    with pytest.raises(UnsafeUrl):
        reading.fetch(0, 10)
    store.close()
    assert server.asked == []


def unannounced(body: bytes) -> Answer:
    """An answer without a length, which ends with its connection."""
    return Answer(200, body, {"Content-Length": ""})


@pytest.mark.parametrize("tag", ["", '"page"'])
def test_a_page_without_a_length_is_asked_for_again(reading: Reading, tag: str) -> None:
    """A page without a length, in place of the whole object, leaves nothing behind: no byte and no tag."""
    page = Answer(200, b"<html>sign in</html>", {"Content-Length": "", "ETag": tag})
    reading.server.answer = in_order(always(page))
    assert reading.fetch(0, SIZE) == DATA
    assert not reading.content.is_over


@pytest.mark.parametrize("page", [b"<html>sign in</html>", b"", DATA + b"more"])
def test_a_body_without_a_length_is_checked_before_it_is_believed(reading: Reading, page: bytes) -> None:
    """No byte of a page that came in place of the object is handed over, nor is it resumed."""
    reading.server.answer = always(unannounced(page))
    reading.ranges = Ranges(reading.store, reading.urls, lambda _: reading.listed, 0.5, threading.Event())
    with pytest.raises((StoreUnavailable, BadAnswer)):
        reading.fetch(0, SIZE)
    assert reading.got == b""
    # A busy machine may take longer to answer than the patience above, and be probed.
    asked = [each.headers["range"] for each in reading.server.asked if each.path != "/"]
    assert set(asked) == {f"bytes=0-{SIZE - 1}"}


def test_a_body_without_a_length_that_is_the_object(reading: Reading) -> None:
    """The object is the object, whether its length was announced or not."""
    reading.server.answer = always(unannounced(DATA))
    assert reading.fetch(0, SIZE) == DATA


def left_open(reading: Reading, stop: int = 100_000, request_stop: int = 200_000) -> Body:
    """The body of a request that goes on, after a first part."""
    fetched = drive(reading.ranges.fetch(reading.content, 0, stop, reading.sink, request_stop=request_stop))
    body = left_open_by(fetched)
    assert body is not None
    assert body.at == stop
    return body


def left_open_by(fetched: Filled | WholeInstead) -> Body | None:
    """The body that goes on beyond what was fetched."""
    assert isinstance(fetched, Filled)
    return fetched.left_open


def test_a_request_that_goes_on(reading: Reading) -> None:
    """A body is left open at the end of a part, and brings the next ones up to its own end."""
    body: Body | None = left_open(reading)
    for start, stop in [(100_000, 150_000), (150_000, 200_000)]:
        fetched = drive(
            reading.ranges.fetch(reading.content, start, stop, reading.sink, request_stop=200_000, body=body)
        )
        body = left_open_by(fetched)
    assert body is None
    assert reading.got == DATA[:200_000]
    assert reading.asked_for() == ["bytes=0-199999"]


def test_a_part_ends_within_a_shorter_answer(reading: Reading) -> None:
    """A store may send less than was asked for: the rest is asked for when its turn comes."""

    def less(asked: Asked) -> Answer:
        return Answer(206, DATA[:150_000], {"Content-Range": f"bytes 0-149999/{SIZE}", "ETag": TAG})

    reading.server.answer = in_order(less)
    body = left_open(reading)
    fetched = drive(
        reading.ranges.fetch(reading.content, 100_000, 180_000, reading.sink, request_stop=200_000, body=body)
    )
    end = left_open_by(fetched)
    assert end is not None
    assert end.at == 180_000
    end.close()
    assert reading.got == DATA[:180_000]
    assert reading.asked_for() == ["bytes=0-199999", "bytes=150000-199999"]


@pytest.mark.parametrize("cut", [100_000, 100_001, 150_000])
def test_a_body_that_was_left_open_and_breaks_off(reading: Reading, cut: int) -> None:
    """What is missing is asked for at once, by a request that goes as far as the first one did."""
    reading.server.answer = in_order(lambda asked: served(asked, cut=cut))
    body = left_open(reading)
    fetched = drive(
        reading.ranges.fetch(reading.content, 100_000, 180_000, reading.sink, request_stop=200_000, body=body)
    )
    end = left_open_by(fetched)
    assert end is not None
    end.close()
    assert reading.got == DATA[:180_000]
    assert reading.asked_for() == ["bytes=0-199999", f"bytes={cut}-199999"]


def test_a_server_without_ranges_and_a_request_that_would_go_on(reading: Reading) -> None:
    """The whole object, without a length, is not believed before its end because it begins well."""
    reading.server.answer = always(unannounced(DATA))
    fetched = drive(reading.ranges.fetch(reading.content, 0, 100, reading.sink, request_stop=SIZE))
    assert isinstance(fetched, WholeInstead)
    assert fetched.body.at == 0
    fetched.body.close()
    assert reading.got == b""


class Refusing(Collected):
    """A sink of which nobody wants the bytes."""

    def room(self) -> memoryview:
        raise Closing("nobody reads on")


def test_a_body_is_closed_where_nobody_wants_its_bytes(server: Server) -> None:
    """However often a body is handed back in vain, the next request finds a connection."""
    server.answer = served
    store = Store(httpx.URL("http://127.0.0.1"), common(5))
    reading = Reading(server, store)
    for _ in range(2 * (IN_FLIGHT + LEFT_OPEN)):
        body = left_open(reading, 10, 20)
        with pytest.raises(Closing):
            drive(reading.ranges.fetch(reading.content, 10, 20, Refusing(), body=body))
    store.close()


@pytest.mark.parametrize("is_handed_on", [False, True])
def test_who_ends_a_request_that_goes_on(
    reading: Reading,
    is_handed_on: bool,  # noqa: FBT001 - pytest gives it
) -> None:
    """The part that was brought has no hold on the body any more; the one that it comes to has."""
    body = left_open(reading, 1000, SIZE)
    reading.sink.cancellation.cancel()
    rest = Collected()
    if is_handed_on:
        body.hand_to(rest.cancellation)
        rest.cancellation.cancel()
        # What has arrived may be read all the same; the rest would have to come.
        with pytest.raises(StoreUnavailable):
            drive(body.pour(rest, 1000, SIZE))
    else:
        drive(body.pour(rest, 1000, SIZE))
        assert bytes(rest.got) == DATA[1000:]
    body.close()
