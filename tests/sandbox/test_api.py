"""The sandbox's API: the listing, its pages, one resource by its id, renaming, and the errors of each."""

import json
import os
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.support.served import KEY, Served, serving


def test_shape_of_the_listing(sandbox: Served) -> None:
    """A page has the documented shape, and a resource the documented fields."""
    file = sandbox.write("checkout-flow.docx", b"x" * 7)
    os.utime(file, ns=(1774002600123456789, 1774002600123456789))
    page = sandbox.page()
    (resource,) = page["data"]["resources"]
    assert resource.pop("id") > 0
    assert resource.pop("url").startswith(sandbox.base_url)
    assert page == {
        "data": {
            "resources": [
                {
                    "project_id": 4,
                    "name": "checkout-flow.docx",
                    "description": None,
                    "mime_type": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                    "size_bytes": 7,
                    "status": "uploaded",
                    "created_by": "sandbox",
                    "created_at": "2026-03-20T10:30:00.123456Z",
                    "updated_at": "2026-03-20T10:30:00.123456Z",
                }
            ]
        },
        "pagination": {"page": 1, "per_page": 20, "total": 1, "total_pages": 1},
    }


def test_pages(sandbox: Served) -> None:
    """Pages are 20 long by default and 100 at most, newest first, and empty past the end."""
    for number in range(105):
        sandbox.write(f"{number:03}", mtime=1_700_000_000 + number)
    newest_first = [f"{number:03}" for number in reversed(range(105))]
    assert [r["name"] for r in sandbox.page()["data"]["resources"]] == newest_first[:20]
    assert [r["name"] for r in sandbox.page(page=3, per_page=40)["data"]["resources"]] == newest_first[80:]
    clamped = sandbox.page(per_page=5000)
    assert len(clamped["data"]["resources"]) == 100
    assert clamped["pagination"] == {"page": 1, "per_page": 100, "total": 105, "total_pages": 2}
    assert sandbox.page(page=9)["data"]["resources"] == []


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=", "per_page=0", "per_page=1.5"])
def test_bad_pages(sandbox: Served, query: str) -> None:
    """A page that is no positive number is refused with 400."""
    answer = sandbox.api.get(f"/api/resources?{query}")
    assert answer.status_code == 400
    assert "positive integer" in answer.json()["error"]["message"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {KEY}", KEY, "Bearer \xe9"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/resources"),
        ("GET", "/api/resources/1"),
        ("PATCH", "/api/resources/1"),
        ("GET", "/sandbox/plan"),
        ("PUT", "/sandbox/plan"),
        ("GET", "/sandbox/requests"),
        ("DELETE", "/sandbox/requests"),
    ],
)
def test_key_is_needed(sandbox: Served, method: str, path: str, header: str | None) -> None:
    """Everything but the store wants the bearer key, and answers 401 in JSON without it."""
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    answer = sandbox.store.request(method, sandbox.base_url + path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": {"message": "Unauthorized"}})


def test_one_resource(sandbox: Served) -> None:
    """A resource by its id is the one of the listing, and its URL opens it."""
    sandbox.write("a", b"content")
    listed = sandbox.resource("a")
    shown = sandbox.api.get(f"/api/resources/{listed['id']}").json()["data"]["resource"]
    assert sandbox.store.get(shown.pop("url")).content == b"content"
    listed.pop("url")
    assert shown == listed


@pytest.mark.parametrize(
    "path", ["/api/resources/999999", "/api/resources/x", f"/api/resources/{'9' * 5000}", "/x"]
)
def test_unknown(sandbox: Served, path: str) -> None:
    """What is not there is 404 in JSON."""
    answer = sandbox.api.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]


def test_by_id_not_routed(sandbox: Served) -> None:
    """A plan without `by_id` answers as for a path that nobody serves."""
    sandbox.write("a")
    known = sandbox.resource("a")["id"]
    sandbox.plan(by_id=False)
    answer, unrouted = sandbox.api.get(f"/api/resources/{known}"), sandbox.api.get("/api/nothing/1")
    assert (answer.status_code, answer.json()) == (unrouted.status_code, unrouted.json())
    assert answer.status_code == 404


def test_changes_show_at_once(sandbox: Served) -> None:
    """A file that appears, changes or goes is so in the next listing, and by id."""
    file = sandbox.write("a", b"1", mtime=1_000_000)
    first = sandbox.resource("a")
    sandbox.write("a", b"22", mtime=2_000_000)
    assert sandbox.api.get(f"/api/resources/{first['id']}").json()["data"]["resource"]["size_bytes"] == 2
    changed = sandbox.resource("a")
    assert (changed["size_bytes"], changed["updated_at"]) == (2, "1970-01-24T03:33:20.000000Z")
    assert (changed["id"], changed["created_at"]) == (first["id"], first["created_at"])
    file.unlink()
    assert sandbox.resources() == []
    assert sandbox.api.get(f"/api/resources/{first['id']}").status_code == 404
    sandbox.write("a")
    assert sandbox.resource("a")["id"] == first["id"]


def test_new_file_is_known_by_id(tmp_path: Path) -> None:
    """Ids go by path from 1, and the next file has the next id, listed yet or not."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "b").touch()
    (folder / "a").mkdir()
    (folder / "a" / "z").touch()
    with serving(folder, tmp_path / "ready") as served:
        assert {r["id"]: r["name"] for r in served.resources()} == {1: "z", 2: "b"}
        served.write("0")
        assert served.api.get("/api/resources/3").json()["data"]["resource"]["name"] == "0"


def test_what_is_no_resource(sandbox: Served) -> None:
    """Dotfiles, files in dot folders and symbolic links are not listed; folders give equal names."""
    for path in (".hidden", ".git/config", "a/.x/y", "a/same", "b/same"):
        sandbox.write(path)
    (sandbox.folder / "link").symlink_to(sandbox.folder / "a" / "same")
    (sandbox.folder / "folder").symlink_to(sandbox.folder / "a")
    assert [r["name"] for r in sandbox.resources()] == ["same", "same"]


def test_links(sandbox: Served) -> None:
    """A .link file is a resource with a page for its URL and no size; without a URL in it, it is a file."""
    sandbox.write("Plan.link", b"https://docs.example/plan?id=1\n")
    sandbox.write("other.link", b"not a URL")
    link = sandbox.resource("Plan")
    assert link["url"] == "https://docs.example/plan?id=1"
    assert (link["size_bytes"], link["mime_type"]) == (None, None)
    assert sandbox.store.get(sandbox.url("other.link")).content == b"not a URL"


def test_sidecar(sandbox: Served) -> None:
    """The sidecar overrides any field, verbatim, ids too, and its changes show at once."""
    sandbox.write("a/b.csv", b"content")
    overrides = {
        "id": 777_777,
        "name": "../\ud800/x\x00",
        "size_bytes": None,
        "updated_at": 12,
        "access_level": "project",
        "status": ["pending"],
    }
    sandbox.write(".sandbox.json", json.dumps({"a/b.csv": overrides}).encode())
    (resource,) = json.loads(sandbox.api.get("/api/resources").content)["data"]["resources"]
    assert {name: resource[name] for name in overrides} == overrides
    assert sandbox.store.get(resource["url"]).content == b"content"
    assert sandbox.report()["log"][-1]["id"] == 777_777
    assert sandbox.api.get("/api/resources/777777").json()["data"]["resource"]["mime_type"] == "text/csv"
    sandbox.write(".sandbox.json", b"{}")
    assert sandbox.resource("b.csv")["size_bytes"] == 7
    assert sandbox.api.get("/api/resources/777777").status_code == 404


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_broken_sidecar(sandbox: Served, text: bytes) -> None:
    """A sidecar that cannot be read is said in the answer, until it is mended."""
    sandbox.write("a")
    sandbox.write(".sandbox.json", text)
    for path in ("/api/resources", "/api/resources/1"):
        answer = sandbox.api.get(path)
        assert answer.status_code == 500
        assert ".sandbox.json" in answer.json()["error"]["message"]
    sandbox.write(".sandbox.json", b"{}")
    assert len(sandbox.resources()) == 1


def test_patch(sandbox: Served) -> None:
    """PATCH renames and describes; updated_at moves with the server's clock, the content does not."""
    sandbox.write("to-patch", b"content", mtime=1_700_000_000)
    before = sandbox.resource("to-patch")
    etag = sandbox.store.get(before["url"]).headers["etag"]
    sandbox.plan(clock_offset_s=1e9)
    path = f"/api/resources/{before['id']}"
    after = sandbox.api.patch(path, json={"name": "new name", "description": "why"}).json()["data"][
        "resource"
    ]
    sandbox.plan()
    assert (after["name"], after["description"]) == ("new name", "why")
    assert after["updated_at"] > "2057"
    assert after["created_at"] == before["created_at"]
    answer = sandbox.store.get(sandbox.url("new name"))
    assert (answer.content, answer.headers["etag"]) == (b"content", etag)
    assert sandbox.store.get(before["url"]).status_code == 200
    described = sandbox.api.patch(path, json={"description": None}).json()["data"]["resource"]
    assert (described["name"], described["description"]) == ("new name", None)
    sandbox.write("to-patch", b"newer", mtime=4_000_000_000)
    assert sandbox.resource("new name")["updated_at"].startswith("2096-")


@pytest.mark.parametrize("body", ["{", "[]", '{"name": ""}', '{"name": null}', '{"size_bytes": 1}'])
def test_bad_patch(sandbox: Served, body: str) -> None:
    """A PATCH of anything but a name or a description is refused with the reason, and changes nothing."""
    sandbox.write("a")
    before = sandbox.resource("a")
    answer = sandbox.api.patch(f"/api/resources/{before['id']}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert sandbox.resource("a")["updated_at"] == before["updated_at"]
    assert sandbox.api.patch("/api/resources/999999", json={}).status_code == 404


def test_dates(sandbox: Served) -> None:
    """Every answer has a Date, by the server's clock."""
    sandbox.write("a", b"x")
    answers = [
        sandbox.api.get("/api/resources"),
        sandbox.store.get(sandbox.url("a")),
        sandbox.api.get("/nothing"),
    ]
    sandbox.plan(clock_offset_s=-86400)
    earlier = sandbox.api.get("/api/resources")
    for answer in answers:
        ahead = parsedate_to_datetime(answer.headers["date"]) - parsedate_to_datetime(earlier.headers["date"])
        assert 86000 < ahead.total_seconds() < 86500


def test_other_methods(sandbox: Served) -> None:
    """The API is read and patched, and nothing else."""
    for method in ("POST", "DELETE", "PUT"):
        assert sandbox.api.request(method, "/api/resources/1").status_code in {404, 405}
