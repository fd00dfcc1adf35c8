"""The client of the API: what it takes from an answer, what it refuses, and when it asks again."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from empirical_fs.api.client import Api
from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    ApiError,
    ApiUnavailable,
    DeadlinePassed,
    EmpiricalError,
    KeyRefused,
    NotTheApi,
    ResourceGone,
)
from tests.support.common import common
from tests.support.wire import sending, talking
from tests.unit.conftest import Answer, Asked, Server

KEY = "key-of-this-test"
DATE = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
MIDNIGHT = 1767225600.0


@pytest.fixture
def closing() -> threading.Event:
    """Once it is set, nothing is tried again."""
    return threading.Event()


@pytest.fixture
def api(server: Server, closing: threading.Event) -> Iterator[Api]:
    api = Api(httpx.URL(server.url), KEY, common(30, closing))
    yield api
    api.close()


def soon(seconds: float = 10) -> Deadline:
    return Deadline.after(seconds)


def entry(identity: Any = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "name": "a.txt",
        "url": "https://x/o?sig=1&Expires=1769949045",
        "size_bytes": 5,
        "status": "uploaded",
        **fields,
    }


def listing(*entries: Any, page: Any = 1, total: Any = 1, total_pages: Any = 1) -> bytes:
    pagination = {"page": page, "per_page": 100, "total": total, "total_pages": total_pages}
    return json.dumps({"data": {"resources": entries}, "pagination": pagination}).encode()


def one(value: Any) -> bytes:
    return json.dumps({"data": {"resource": value}}).encode()


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    turns = iter(answers)
    return lambda _: next(turns)


def always(answer: Answer) -> Callable[[Asked], Answer]:
    return lambda _: answer


def test_a_page(api: Api, server: Server) -> None:
    """A page is asked for with the key and 100 a page, and comes with its numbers and the server's clock."""
    server.answer = always(Answer(body=listing(entry(7), page=3, total=201, total_pages=3), headers=DATE))
    page = api.page(3, soon(), {})
    assert [resource.id for resource in page.resources] == [7]
    assert (page.ids, page.malformed, page.total, page.total_pages) == ((7,), (), 201, 3)
    assert page.server_time == MIDNIGHT
    asked = server.asked[0]
    assert urlsplit(asked.path).path == "/api/resources"
    assert parse_qs(urlsplit(asked.path).query) == {"page": ["3"], "per_page": ["100"]}
    assert asked.headers["authorization"] == f"Bearer {KEY}"


def test_entries_that_are_not_shown(api: Api, server: Server) -> None:
    """What is malformed or not uploaded is left out, but its id counts."""
    entries = [entry(1), entry(2, status="pending"), entry(3, name=None), entry("x"), None, entry(4)]
    server.answer = always(Answer(body=listing(*entries)))
    page = api.page(1, soon(), {})
    assert [resource.id for resource in page.resources] == [1, 4]
    assert page.ids == (1, 2, 3, None, None, 4)
    assert [error.resource_id for error in page.malformed] == [3, None, None]


def test_numbers_in_other_forms(api: Api, server: Server) -> None:
    """The pagination and the entries may have their numbers as texts or as whole floats."""
    entries = [entry("1", size_bytes="5"), entry(2.0, size_bytes=5.0)]
    server.answer = always(Answer(body=listing(*entries, page="1", total="2", total_pages=1.0)))
    page = api.page(1, soon(), {})
    assert [(each.id, each.size) for each in page.resources] == [(1, 5), (2, 5)]
    assert (page.ids, page.total, page.total_pages) == ((1, 2), 2, 1)


def test_a_list_that_is_null(api: Api, server: Server) -> None:
    """Null in place of an empty list is an empty page."""
    body = b'{"data": {"resources": null}, "pagination": {"page": 1, "total": 0, "total_pages": 0}}'
    server.answer = always(Answer(body=body))
    page = api.page(1, soon(), {})
    assert (page.resources, page.ids, page.total) == ((), (), 0)


def test_absurd_numbers_cost_their_own_entry(api: Api, server: Server) -> None:
    """A number of thousands of digits is none, and the other entries of its page are read."""
    entries = [entry(1, size_bytes=77777), entry(88888), entry(3), entry(4, project_id=99999)]
    body = listing(*entries)
    for short in (b"77777", b"88888", b"99999"):
        body = body.replace(short, b"1" * 5000)
    server.answer = always(Answer(body=body))
    page = api.page(1, soon(), {})
    assert [resource.id for resource in page.resources] == [3, 4]
    assert [error.resource_id for error in page.malformed] == [1, None]


def test_urls_of_a_page(api: Api, server: Server) -> None:
    """Every entry with an id brings its signed URL, whether the rest of it can be read or not."""
    server.answer = always(
        Answer(body=listing(entry(1), entry(2, name=None), entry(3, url=None), entry("x")))
    )
    assert list(api.page(1, soon(), {}).urls) == [1, 2]


def test_surrogates_cost_at_most_their_own_resource(api: Api, server: Server) -> None:
    """Unpaired surrogates in names, values and keys do not cost the page."""
    entries = [entry(1, name="\ud800"), entry(2, description="\udc00"), entry(3, **{"\ud800": 1}), entry(4)]
    server.answer = always(Answer(body=listing(*entries)))
    assert {resource.id for resource in api.page(1, soon(), {}).resources} >= {1, 2, 4}


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("", None),
        ("yesterday", None),
        ("Thu, 01 Jan 2026 00:00:00 -0000", MIDNIGHT),
        ("9" * 40, None),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999999", None),
    ],
)
def test_server_clocks(api: Api, server: Server, date: str, time: float | None) -> None:
    """A Date that cannot be read is none, and one without a zone is in UTC, whatever the zone here."""
    server.answer = always(Answer(body=listing(entry(1)), headers={"Date": date}))
    assert api.page(1, soon(), {}).server_time == time


@pytest.mark.parametrize("left_out", ["page", "total", "total_pages", "per_page"])
def test_a_pagination_that_leaves_something_out(api: Api, server: Server, left_out: str) -> None:
    """What it does not say is not known, and the page is read all the same."""
    answer = json.loads(listing(entry(7)))
    del answer["pagination"][left_out]
    server.answer = always(Answer(body=json.dumps(answer).encode()))
    page = api.page(1, soon(), {})
    assert (page.ids, page.per_page) == ((7,), 100)
    assert (page.total is None, page.total_pages is None) == (left_out == "total", left_out == "total_pages")
    assert page.is_numbered == (left_out != "page")


@pytest.mark.parametrize(("told", "is_numbered"), [(3, True), (1, False), (2, None)])
def test_the_number_of_a_page(api: Api, server: Server, told: int, is_numbered: bool | None) -> None:  # noqa: FBT001 - pytest names it
    """A page may be called the first one as every page is, and no other one."""
    server.answer = always(Answer(body=listing(entry(7), page=told, total=201, total_pages=3)))
    if is_numbered is None:
        with pytest.raises(NotTheApi):
            api.page(3, soon(), {})
    else:
        assert api.page(3, soon(), {}).is_numbered == is_numbered


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><html></html>",
        b"null",
        b"[]",
        b"{}",
        b'{"data": {}}',
        b'{"data": {"resources": {}}, "pagination": {"page": 1, "total": 0, "total_pages": 0}}',
        b'{"data": {"resources": []}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"data": [], "pagination": {"page": 1, "total": 0, "total_pages": 0}}',
        b'{"resources": [], "pagination": {"page": 1, "total": 0, "total_pages": 0}}',
        b'{"data": {"items": []}, "pagination": {"page": 1, "total": 0, "total_pages": 0}}',
        b'{"data": {"resources": [], "pagination": {"page": 1, "total": 0, "total_pages": 0}}}',
        b'{"data": {"resources": null}, "pagination": {"page": 1, "total": 1, "total_pages": 1}}',
        b'{"data": {}, "pagination": {"page": 1, "total": 0, "total_pages": 0}}',
        b'{"data": {"resources": []}, "pagination": {"page": 1, "total": ' + b"9" * 5000 + b"}}",
        listing(total="one"),
        listing(total="1_0"),
        listing(total=True),
        listing(total=float("inf")),
        listing(total=2**63),
        listing(page=True),
        listing(total=-1),
        listing(total_pages=-1),
        listing(page=2),
        listing(total=None),
        listing(total=1.5),
        listing(total=10**30, page="1"),
    ],
)
def test_what_is_no_page(api: Api, server: Server, body: bytes) -> None:
    """An answer of another shape is not the API's, and is not asked for again."""
    server.answer = always(Answer(body=body))
    with pytest.raises(NotTheApi) as caught:
        api.page(1, soon(), {})
    assert KEY not in str(caught.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, KeyRefused),
        (404, NotTheApi),
        (400, NotTheApi),
        (302, NotTheApi),
        (204, NotTheApi),
    ],
)
def test_statuses_of_a_page(api: Api, server: Server, status: int, error: type[ApiError]) -> None:
    """A refusal is an error at once; a redirect is one too, and the key goes nowhere else."""
    server.answer = always(Answer(status, headers={"Location": f"{server.url}/elsewhere"}))
    with pytest.raises(error):
        api.page(1, soon(), {})
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_busy_api(api: Api, server: Server, status: int) -> None:
    """An API that is busy is asked again."""
    server.answer = in_turn(Answer(status), Answer(body=listing(entry(1))))
    assert api.page(1, soon(), {}).ids == (1,)
    assert len(server.asked) == 2


def test_an_answer_that_was_changed_on_the_way(api: Api, server: Server) -> None:
    """203 is an answer, which is checked like any other."""
    server.answer = always(Answer(203, body=listing(entry(1))))
    assert api.page(1, soon(), {}).ids == (1,)


def test_broken_answers_are_asked_for_again(api: Api, server: Server) -> None:
    """A body that broke off is no answer."""
    body = listing(entry(1))
    cut = Answer(body=body[:10], headers={"Content-Length": str(len(body))})
    server.answer = in_turn(cut, Answer(body=body))
    assert api.page(1, soon(), {}).ids == (1,)


def test_busy_beyond_the_deadline(api: Api, server: Server) -> None:
    """An API that asks to come again after the deadline is unavailable, at once."""
    server.answer = always(Answer(503, headers={"Retry-After": "60"}))
    with pytest.raises(ApiUnavailable) as caught:
        api.page(1, soon(5), {})
    assert caught.value.retry_after == 60
    assert len(server.asked) == 1


@pytest.mark.parametrize("value", ["Thu, 01 Jan 1970 00:00:00 +99999999999999999", "-1", "soon"])
def test_hostile_retry_after(api: Api, server: Server, value: str) -> None:
    """A Retry-After that makes no sense is as none."""
    server.answer = in_turn(Answer(503, headers={"Retry-After": value}), Answer(body=listing(entry(1))))
    assert api.page(1, soon(), {}).ids == (1,)


def test_nobody_there(server: Server) -> None:
    """Where nobody listens the API is unavailable by the deadline."""
    api = Api(httpx.URL("http://127.0.0.1:1"), KEY, common(30))
    with pytest.raises(ApiUnavailable):
        api.page(1, soon(0.2), {})
    with pytest.raises(DeadlinePassed):
        api.page(1, soon(0), {})
    api.close()


def test_by_id(api: Api, server: Server) -> None:
    """A resource by its id comes with a fresh URL and the server's clock."""
    server.answer = always(Answer(body=one(entry(7)), headers=DATE))
    signed = api.resource(7, soon())
    assert (signed.resource.id, signed.resource.size, signed.server_time) == (7, 5, MIDNIGHT)
    assert server.asked[0].path == "/api/resources/7"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "7"},
        {"id": 7.0},
        {"size_bytes": "5"},
        {"size_bytes": 5.0},
        {"status": " UPLOADED "},
        {"updated_at": "yesterday"},
        {"updated_at": 1769949045},
    ],
)
def test_by_id_in_other_forms(api: Api, server: Server, fields: dict[str, Any]) -> None:
    """A resource by its id is read as leniently as one of the listing."""
    server.answer = always(Answer(body=one({**entry(7), **fields})))
    signed = api.resource(7, soon())
    assert (signed.resource.id, signed.resource.size, signed.url) == (7, 5, entry()["url"])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404), ResourceGone),
        (Answer(404, b"<html>"), ResourceGone),
        (Answer(body=one(entry(7, status="deleted"))), ResourceGone),
        (Answer(body=one(entry(8))), NotTheApi),
        (Answer(body=one(entry(7, name=None))), NotTheApi),
        (Answer(body=one(entry(7, **{"\ud800": 1}, name=None))), NotTheApi),
        (Answer(body=one(entry(7, status="no word"))), NotTheApi),
        (Answer(body=one(None)), NotTheApi),
        (Answer(body=one([])), NotTheApi),
        (Answer(body=b"<html>"), NotTheApi),
        (Answer(405), NotTheApi),
        (Answer(401), KeyRefused),
    ],
)
def test_by_id_in_vain(api: Api, server: Server, answer: Answer, error: type[EmpiricalError]) -> None:
    """What is not there, no longer uploaded, another resource or no resource is an error that says which."""
    server.answer = always(answer)
    with pytest.raises(error):
        api.resource(7, soon())


def test_a_base_with_a_path(server: Server) -> None:
    """An API behind a path is asked behind that path."""
    server.answer = always(Answer(body=one(entry(7))))
    api = Api(httpx.URL(f"{server.url}/base/"), KEY, common(30))
    api.resource(7, soon())
    api.close()
    assert server.asked[0].path == "/base/api/resources/7"


def test_an_absurdly_large_answer(api: Api, server: Server) -> None:
    """An answer beyond all measure is given up, not kept in memory."""
    server.answer = always(Answer(body=b" " * (33 * 2**20)))
    with pytest.raises(NotTheApi):
        api.page(1, soon(), {})


PAGE = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("answer", "is_of_key"),
    [
        (Answer(401), True),
        (Answer(401, b"<html>", PAGE), True),
        (Answer(403, b'{"error": {"message": "no"}}', {"Content-Type": "application/json"}), True),
        (Answer(403, b' {"error": "no"}'), True),
        (Answer(403), False),
        (Answer(403, b"<html>blocked", PAGE), False),
        (Answer(403, b"error code: 1020", {"Content-Type": "text/plain"}), False),
        (Answer(403, b"{}", {"Content-Type": "application/json", "cf-mitigated": "challenge"}), False),
        (Answer(407, b"<html>", PAGE), False),
        (Answer(451), False),
        (Answer(511, b"<html>", PAGE), False),
        (Answer(522, b"<html>", PAGE), False),
    ],
)
def test_who_refuses(
    api: Api, server: Server, closing: threading.Event, answer: Answer, *, is_of_key: bool
) -> None:
    """401, and 403 with the API's JSON, speak of the key; all else is in between, named, and asked again."""
    server.answer = in_turn(answer, Answer(body=listing(entry(1))))
    if is_of_key:
        with pytest.raises(KeyRefused):
            api.page(1, soon(), {})
    else:
        assert api.page(1, soon(), {}).ids == (1,)
        server.answer = always(answer)
        closing.set()
        with pytest.raises(
            ApiUnavailable, match=f"127.0.0.1.*HTTP {answer.status}|HTTP {answer.status}"
        ) as caught:
            api.page(1, soon(), {})
        assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>Welcome to our hotel", PAGE),
        Answer(200, b"", PAGE),
        Answer(404, b"<html>this domain is for sale", PAGE),
        Answer(302, headers={"Location": "http://portal.example/"}),
        Answer(410),
    ],
)
def test_something_in_between_comes_and_goes(
    api: Api, server: Server, closing: threading.Event, answer: Answer
) -> None:
    """Before its first answer it is not the API, at once; what was the API once is asked again."""
    server.answer = always(answer)
    with pytest.raises(NotTheApi):
        api.page(1, soon(), {})
    assert len(server.asked) == 1
    server.answer = in_turn(Answer(body=listing(entry(1))), answer, answer, Answer(body=listing(entry(2))))
    assert api.page(1, soon(), {}).ids == (1,)
    assert api.page(1, soon(), {}).ids == (2,)
    server.answer = always(answer)
    closing.set()
    with pytest.raises(ApiUnavailable, match="in between"):
        api.page(1, soon(), {})


def test_an_answer_that_cannot_be_read() -> None:
    """It is said as that, at once, and who it was."""
    with talking(sending(b"SSH-2.0-OpenSSH_9.2\r\n"), None, ApiUnavailable) as (wire, _):
        api = Api(httpx.URL(wire.origin), KEY, common(30))
        with pytest.raises(NotTheApi, match=r"127\.0\.0\.1 cannot be understood.*not HTTP"):
            api.page(1, soon(), {})
        api.close()


@pytest.mark.parametrize("value", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after(api: Api, server: Server, value: str) -> None:
    """It is what it is, and no problem of certificates."""
    server.answer = always(Answer(503, headers={"Retry-After": value}))
    with pytest.raises(ApiUnavailable, match="HTTP 503") as caught:
        api.page(1, soon(), {})
    assert not caught.value.lasting
    assert 0 < (caught.value.retry_after or 0) <= 366 * 86_400
    assert len(server.asked) == 1
