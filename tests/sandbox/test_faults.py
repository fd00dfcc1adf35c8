"""The plan of misbehaviour: what each action does to an answer, and which requests meet it."""

import time
from typing import Any

import httpx
import pytest

from tests.support.served import Served, await_true, receive

CONTENT = b"0123456789" * 100_000


def statuses(sandbox: Served, count: int, path: str = "/api/resources") -> list[int]:
    return [sandbox.api.get(path).status_code for _ in range(count)]


@pytest.fixture
def url(sandbox: Served) -> str:
    sandbox.write("a.bin", CONTENT)
    return sandbox.url("a.bin")


def test_status_of_the_api(sandbox: Served) -> None:
    """A status of the plan comes from the API in JSON, with Retry-After and headers as given."""
    action = {"type": "status", "status": 429, "retry_after": "7", "headers": {"x-request-id": "r"}}
    sandbox.fault("list", action)
    answer = sandbox.api.get("/api/resources")
    assert answer.status_code == 429
    assert answer.json()["error"]["message"]
    assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "r")


def test_status_of_the_store(sandbox: Served, url: str) -> None:
    """A status of the plan comes from the store in XML, or with the body given."""
    sandbox.fault("object", {"type": "status", "status": 503})
    assert sandbox.store.get(url).text.startswith("<?xml")
    sandbox.fault("object", {"type": "status", "status": 503, "body": "SlowDown"})
    answer = sandbox.store.get(url)
    assert (answer.status_code, answer.text) == (503, "SlowDown")


@pytest.mark.parametrize("after", [0, 1, 300_000, len(CONTENT) - 1])
def test_cut(sandbox: Served, url: str, after: int) -> None:
    """A cut body ends after exactly so many bytes, under the Content-Length of the whole."""
    sandbox.fault("object", {"type": "cut", "after": after})
    received = bytearray()
    with sandbox.store.stream("GET", url) as answer:
        assert answer.headers["content-length"] == str(len(CONTENT))
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            receive(answer, received)
    assert received == CONTENT[:after]
    assert sandbox.report()["object_bytes"] == after


def test_cut_listing(sandbox: Served) -> None:
    """The API's answers can be cut too."""
    sandbox.fault("list", {"type": "cut", "after": 10})
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        sandbox.api.get("/api/resources")


def test_cut_past_the_end(sandbox: Served, url: str) -> None:
    """A cut that lies past the end of a body does nothing to it."""
    sandbox.fault("object", {"type": "cut", "after": 100})
    assert sandbox.store.get(url, headers={"range": "bytes=5-14"}).content == CONTENT[5:15]


def test_stall(sandbox: Served, url: str) -> None:
    """A stalled body waits after so many bytes, and then goes on to its end."""
    sandbox.fault("object", {"type": "stall", "after": 1000, "seconds": 0.2})
    started = time.monotonic()
    assert sandbox.store.get(url).content == CONTENT
    assert time.monotonic() - started >= 0.2


def test_stall_outlasts_a_client(sandbox: Served, url: str) -> None:
    """A client that gives up on a stalled body gets what came before, and is not in flight any more."""
    sandbox.fault("object", {"type": "stall", "after": 1000, "seconds": 600})
    received = bytearray()
    with sandbox.store.stream("GET", url, timeout=1) as answer, pytest.raises(httpx.ReadTimeout):
        receive(answer, received)
    assert received == CONTENT[:1000]
    sandbox.plan()
    await_true(lambda: not any(sandbox.report()["in_flight"].values()))
    sandbox.clear()
    sandbox.store.get(url)
    assert sandbox.report()["in_flight_peak"]["store"] == 1


@pytest.mark.parametrize("on", ["list", "object"])
def test_reset(sandbox: Served, url: str, on: str) -> None:
    """A reset closes the connection before anything was answered."""
    sandbox.fault(on, {"type": "reset"})
    with pytest.raises(httpx.ReadError):
        sandbox.api.get("/api/resources") if on == "list" else sandbox.store.get(url)
    assert sandbox.report()["log"][-1]["status"] is None


def test_html(sandbox: Served) -> None:
    """A web page comes as one, with status 200."""
    sandbox.fault("any", {"type": "html"})
    answer = sandbox.api.get("/api/resources")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<html>" in answer.text


def test_redirect(sandbox: Served, url: str) -> None:
    """A redirect is a 302 to the place given, verbatim."""
    sandbox.fault("object", {"type": "redirect", "location": "http://elsewhere.example/x y"})
    answer = sandbox.store.get(url)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.example/x y")


def test_body(sandbox: Served) -> None:
    """A body of the plan comes verbatim, in place of the page."""
    sandbox.fault("list", {"type": "body", "body": '{"data":', "content_type": "application/json"})
    answer = sandbox.api.get("/api/resources")
    assert (answer.status_code, answer.text) == (200, '{"data":')
    assert answer.headers["content-type"] == "application/json"


def test_headers(sandbox: Served, url: str) -> None:
    """Headers of a normal answer can be set and removed, whatever their case."""
    sandbox.fault(
        "object", {"type": "headers", "set": {"Content-Range": "bytes 0-0/1"}, "remove": ["ETag", "x"]}
    )
    answer = sandbox.store.get(url, headers={"range": "bytes=5-14"})
    assert (answer.status_code, answer.content) == (206, CONTENT[5:15])
    assert answer.headers["content-range"] == "bytes 0-0/1"
    assert "etag" not in answer.headers


@pytest.mark.parametrize("length", ["10", "2000000", "nonsense"])
def test_false_length(sandbox: Served, url: str, length: str) -> None:
    """A false Content-Length ends in a closed connection, and in no complaint of the server's."""
    sandbox.fault("object", {"type": "headers", "set": {"content-length": length}})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.store.get(url).raise_for_status()


def test_turns(sandbox: Served) -> None:
    """`skip` lets the first through, `every` hits each so-many-th after them, `times` is the most."""
    action = {"type": "status", "status": 500}
    sandbox.fault("list", action, skip=2, every=2, times=2)
    assert statuses(sandbox, 8) == [200, 200, 200, 500, 200, 500, 200, 200]
    assert sandbox.report()["faults"] == 2


def test_put_counts_anew(sandbox: Served) -> None:
    """A plan that is put again begins its counts again."""
    for _ in range(2):
        sandbox.fault("list", {"type": "status", "status": 500}, times=1)
        assert statuses(sandbox, 2) == [500, 200]


def test_first_fault_that_hits(sandbox: Served) -> None:
    """A request meets the first fault that does not let it pass, and only that."""
    faults = [
        {"on": "list", "action": {"type": "status", "status": 500}, "every": 2},
        {"on": "any", "action": {"type": "status", "status": 502}, "times": 2},
    ]
    sandbox.plan(faults=faults)
    assert statuses(sandbox, 5) == [502, 500, 502, 500, 200]


def test_conditions(sandbox: Served) -> None:
    """`ids` and `pages` limit a fault to some resources, and to some pages of the listing."""
    sandbox.write("a", b"a")
    sandbox.write("b", b"b")
    a, b = sandbox.resource("a"), sandbox.resource("b")
    action = {"type": "status", "status": 500}
    sandbox.fault("object", action, ids=[a["id"]])
    assert [sandbox.store.get(r["url"]).status_code for r in (a, b)] == [500, 200]
    sandbox.fault("get", action, ids=[b["id"]])
    assert [sandbox.api.get(f"/api/resources/{r['id']}").status_code for r in (a, b)] == [200, 500]
    sandbox.fault("list", action, pages=[2])
    assert [sandbox.api.get("/api/resources", params={"page": n}).status_code for n in (1, 2)] == [200, 500]


def test_probability_repeats(sandbox: Served) -> None:
    """The same seed makes the same requests fail; another makes others fail."""
    fault = {"on": "list", "action": {"type": "status", "status": 500}, "probability": 0.5}

    def outcome(seed: int) -> list[int]:
        sandbox.plan(seed=seed, faults=[fault])
        return statuses(sandbox, 20)

    assert set(outcome(1)) == {200, 500}
    assert outcome(1) == outcome(1) != outcome(2)


@pytest.mark.parametrize("side", ["api", "store"])
def test_latency(sandbox: Served, url: str, side: str) -> None:
    """Each side's latency delays that side, and not the other."""

    def durations() -> tuple[float, float]:
        started = time.monotonic()
        sandbox.api.get("/api/resources")
        between = time.monotonic()
        sandbox.store.get(url, headers={"range": "bytes=0-0"})
        return between - started, time.monotonic() - between

    sandbox.plan(**{f"{side}_latency_s": 1.0})
    api, store = durations()
    slow, quick = (api, store) if side == "api" else (store, api)
    assert quick < 1.0 <= slow


def test_pace(sandbox: Served, url: str) -> None:
    """A body of a million bytes takes a quarter of a second at four million bytes per second."""
    sandbox.plan(bytes_per_second=4_000_000)
    started = time.monotonic()
    assert sandbox.store.get(url).content == CONTENT
    assert 0.25 <= time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("{", "truncated"),
        ("[]", "object"),
        ('{"rangse": "206"}', "rangse"),
        ('{"ranges": "maybe"}', "ranges"),
        ('{"expired_status": 404}', "expired_status"),
        ('{"api_latency_s": -1}', "api_latency_s"),
        ('{"bytes_per_second": 0}', "bytes_per_second"),
        ('{"faults": [{"on": "list"}]}', "action"),
        ('{"faults": [{"on": "all", "action": {"type": "reset"}}]}', "on"),
        ('{"faults": [{"on": "any", "action": {"type": "explode"}}]}', "explode"),
        ('{"faults": [{"on": "any", "action": {"type": "cut"}}]}', "after"),
        ('{"faults": [{"on": "any", "action": {"type": "redirect", "location": "a\\r\\nb"}}]}', "location"),
        ('{"faults": [{"on": "any", "action": {"type": "headers", "set": {"a b": ""}}}]}', "set"),
        ('{"faults": [{"on": "any", "action": {"type": "raw", "text": "\\u0100"}}]}', "text"),
        ('{"faults": [{"on": "any", "action": {"type": "slow-head", "seconds": 1, "pieces": 0}}]}', "pieces"),
        ('{"faults": [{"on": "any", "action": {"type": "resize", "by": 1, "length": "9"}}]}', "length"),
        ('{"faults": [{"on": "any", "action": {"type": "reset"}, "every": 0}]}', "every"),
        ('{"faults": [{"on": "any", "action": {"type": "reset"}, "probability": 2}]}', "probability"),
    ],
)
def test_bad_plans(sandbox: Served, plan: str, reason: str) -> None:
    """A bad plan is refused with the reason, and the one in force stays."""
    sandbox.plan(seed=5)
    answer = sandbox.api.put("/sandbox/plan", content=plan)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]
    assert sandbox.api.get("/sandbox/plan").json()["seed"] == 5


def test_plan_reads_back(sandbox: Served) -> None:
    """What is put is what is read, with the defaults filled in; what is left out is the default again."""
    action: dict[str, Any] = {"type": "stall", "after": 1, "seconds": 2.0}
    sandbox.plan(by_id=False, faults=[{"on": "get", "action": action}])
    plan = sandbox.api.get("/sandbox/plan").json()
    assert plan["faults"][0]["action"] == action
    assert (plan["by_id"], plan["url_expiry_s"]) == (False, 3600)
    sandbox.plan()
    assert sandbox.api.get("/sandbox/plan").json()["by_id"] is True
