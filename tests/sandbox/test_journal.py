"""The sandbox's journal: what was asked, counted and logged, as tests read it."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.served import Served


def test_counts(sandbox: Served) -> None:
    """Requests are counted by kind, refusals and bytes of objects too, and the sandbox's own are not."""
    sandbox.write("patched", b"x" * 1000)
    resource = sandbox.resource("patched")
    sandbox.api.get(f"/api/resources/{resource['id']}")
    sandbox.api.patch(f"/api/resources/{resource['id']}", json={})
    sandbox.store.get(resource["url"])
    sandbox.store.get(resource["url"], headers={"range": "bytes=0-9"})
    sandbox.store.head(resource["url"])
    sandbox.store.get(resource["url"] + "0")
    sandbox.store.get(f"{sandbox.base_url}/api/resources")
    report = sandbox.report()
    del report["log"]
    assert report == {
        "list": 2,
        "get": 1,
        "patch": 1,
        "object": 3,
        "head": 1,
        "refused": 3,
        "faults": 0,
        "object_bytes": 1010,
        "faults_by_action": {},
        "in_flight": {"api": 0, "store": 0},
        "in_flight_peak": {"api": 1, "store": 1},
    }


def test_log(sandbox: Served) -> None:
    """The log has what a client sent and what it got, in order."""
    sandbox.write("a", b"x" * 1000)
    resource = sandbox.page(page=1, per_page=50)["data"]["resources"][0]
    headers = {"range": "bytes=0-9", "if-match": '"x"', "accept-encoding": "identity"}
    sandbox.store.get(resource["url"], headers=headers)
    listed, fetched = sandbox.report()["log"]
    assert 0 < listed.pop("at") <= fetched.pop("at")
    assert listed["authorization"] is True
    assert (listed["kind"], listed["page"], listed["id"], listed["status"]) == ("list", 1, None, 200)
    assert fetched == {
        "kind": "object",
        "id": resource["id"],
        "page": None,
        "range": "bytes=0-9",
        "if_match": '"x"',
        "authorization": False,
        "accept_encoding": "identity",
        "status": 412,
        "fault": False,
    }


def test_faults_are_marked(sandbox: Served) -> None:
    """A refusal that the plan made up counts as a fault, and not as a refusal."""
    sandbox.fault("list", {"type": "status", "status": 403})
    sandbox.api.get("/api/resources")
    report = sandbox.report()
    assert (report["faults"], report["refused"], report["log"][0]["fault"]) == (1, 0, True)
    assert report["faults_by_action"] == {"status": 1}


def test_peak(sandbox: Served) -> None:
    """The peak is of requests in flight at the same time, per side."""
    sandbox.write("a", b"x")
    url = sandbox.url("a")
    sandbox.plan(store_latency_s=0.3)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(sandbox.store.get, [url] * 3))
    assert sandbox.report()["in_flight_peak"] == {"api": 1, "store": 3}


def test_clear(sandbox: Served) -> None:
    """A cleared journal begins at nothing."""
    sandbox.page()
    sandbox.clear()
    report = sandbox.report()
    assert (report["list"], report["log"], report["in_flight_peak"]) == (0, [], {"api": 0, "store": 0})
