"""Answers of the API that are none, on a real mount: whoever needs a new URL, and whoever looks."""

import json
from typing import Any

import pytest

from tests.conftest import Mount
from tests.mount.test_faults import (
    PASSING,
    RIGHT,
    SIZE,
    WARNINGS,
    WELL,
    Fault,
    check,
    outcome_anew,
    status,
)
from tests.support.harness import Sandbox, noise, wait_until

AGES = 600
LATER = 2 * 3600.0
"""Seconds by which the server's clock is put forward, so that every URL has to be signed again."""

REFUSED = frozenset({"EACCES"})
STALE = frozenset({"ESTALE"})


def body(text: str, times: int = 1) -> dict[str, Any]:
    return {"type": "body", "body": text, "times": times}


def signed(place: str) -> dict[str, Any]:
    return {"type": "resource", "url": f"{place}?X-Amz-Signature=00&X-Amz-Expires=3600"}


GROUPS: dict[str, list[Fault]] = {
    "statuses": [Fault(str(code), status(code)) for code in (408, 425, 429, 500, 503)],
    "strange statuses": [Fault(str(code), status(code), PASSING) for code in (400, 404, 405, 410, 418)],
    "401": [Fault("401", status(401), WELL | REFUSED, REFUSED)],
    "403": [Fault("403", status(403), WELL | REFUSED, REFUSED)],
    "broken": [
        Fault("cut", {"type": "cut", "after": 10}),
        Fault("reset", {"type": "reset"}),
        Fault("closed", {"type": "raw", "text": ""}),
        Fault("silence", {"type": "silence"}, PASSING),
        Fault("stalled", {"type": "stall", "after": 10, "seconds": AGES}, PASSING),
    ],
    "no json": [
        Fault("html", {"type": "html"}, PASSING),
        Fault("empty", body(""), PASSING),
        Fault("nested", body("[", 200_000), PASSING),
        Fault(
            "no text",
            {"type": "raw", "text": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd"},
            PASSING,
        ),
        Fault("redirect", {"type": "redirect", "location": ""}, PASSING),
    ],
    "huge": [Fault("huge", body(" ", 34_000_000), PASSING)],
    "other shapes": [
        Fault("null", body("null"), PASSING),
        Fault("list", body("[]"), PASSING),
        Fault("no resource", body('{"data": {"resource": null}}'), PASSING),
        Fault("id in words", {"type": "resource", "id": "seven"}, PASSING),
        Fault("another resource", {"type": "other", "id": "as long"}, PASSING),
        Fault("size in words", {"type": "resource", "size_bytes": "many"}, PASSING),
    ],
    "no urls": [
        Fault("number for a url", {"type": "resource", "url": 7}, STALE | WELL, STALE),
        Fault("no url", {"type": "resource", "url": None}, STALE | WELL, STALE),
        Fault("expired url", {"type": "resource"}, PASSING),
        Fault("url of another file", signed("/a"), PASSING),
    ],
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.may_warn(*WARNINGS, "the API (refuses the key|accepts the key again)")
def test_signing(sandbox: Sandbox, mount: Mount, group: str) -> None:
    """Whatever the API answers who needs a URL, a read gives the bytes or an errno, and later the bytes."""
    check(sandbox, mount, GROUPS[group], "get", clock_offset_s=LATER)


EMPTY: dict[str, Any] = {
    "data": {"resources": []},
    "pagination": {"page": 1, "per_page": 100, "total": 3, "total_pages": 1},
}
LISTINGS: dict[str, dict[str, Any]] = {
    "cut": {"type": "cut", "after": 100},
    "silence": {"type": "silence"},
    "huge": body(" ", 34_000_000),
    "nested": body("[", 200_000),
    "no data": body("{}"),
    "no list": body(json.dumps({**EMPTY, "data": {"resources": {}}})),
    "words for numbers": body(json.dumps({**EMPTY, "pagination": dict.fromkeys(EMPTY["pagination"], "1")})),
    "less than nothing": body(json.dumps({**EMPTY, "pagination": dict.fromkeys(EMPTY["pagination"], -1)})),
    "empty, of three": body(json.dumps(EMPTY)),
    "html": {"type": "html"},
    "404": status(404),
    "500": status(500),
}


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.may_warn(
    "the listing could not be refreshed, .*: ", "127.0.0.1 (is out of reach; reads|answers again)"
)
def test_listing(sandbox: Sandbox, mount: Mount, listing: str) -> None:
    """While the API answers nonsense for the listing, the files that were there are, and are read right."""
    contents = {f"{seed}.bin": noise(SIZE, seed) for seed in range(3)}
    for name, content in contents.items():
        sandbox.put(name, content)
    with mount("--refresh", "0.05") as mounted:
        sandbox.plan(faults=[{"on": "list", "action": LISTINGS[listing]}])
        sandbox.forget_requests()

        def is_asked_for() -> bool:
            assert mounted.names() == set(contents)
            return any(each["kind"] == "list" and each["fault"] for each in sandbox.requests()["log"])

        wait_until(is_asked_for, "a refresh")
        came = {name: outcome_anew(mounted / name, content) for name, content in contents.items()}
        assert came == dict.fromkeys(contents, RIGHT)
        assert mounted.names() == set(contents)
        sandbox.plan()
        sandbox.put("new.bin", noise(SIZE, 9))

        def is_new() -> bool:
            names = mounted.names()
            assert set(contents) <= names
            return "new.bin" in names

        wait_until(is_new, "a good listing")
        assert outcome_anew(mounted / "new.bin", noise(SIZE, 9)) == RIGHT
