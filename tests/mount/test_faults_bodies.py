"""Answers of the store that are late, no HTTP, or not what was asked for, on a real mount."""

from typing import Any

import pytest

from tests.conftest import Mount
from tests.mount.test_faults import FAILED, PASSING, SIZE, STALE, WARNINGS, WELL, Fault, check
from tests.support.harness import Sandbox

AGES = 600
TWO_LENGTHS = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nContent-Length: 10\r\n\r\n0123456789"


def headers(*remove: str, **fields: str) -> dict[str, Any]:
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    return {"type": "headers", "remove": list(remove), "set": given}


def resized(by: int, length: str) -> dict[str, Any]:
    return {"type": "resize", "by": by, "length": length}


GROUPS: dict[str, list[Fault]] = {
    "broken off": [
        Fault("cut at once", {"type": "cut", "after": 0}),
        Fault("cut soon", {"type": "cut", "after": 3000}, always=PASSING),
        Fault("too short for its length", resized(-10, "kept")),
        Fault("stalled at once", {"type": "stall", "after": 0, "seconds": AGES}, PASSING),
        Fault("stalled later", {"type": "stall", "after": 60_000, "seconds": AGES}, PASSING, PASSING),
    ],
    "other lengths": [
        Fault("too long for its length", resized(7, "kept"), always=PASSING),
        Fault("too long", resized(7, "true"), PASSING),
        Fault("too long in chunks", resized(7, "none"), PASSING, PASSING),
        Fault("too short", resized(-7, "true"), PASSING),
        Fault("too short in chunks", resized(-7, "none"), PASSING),
        Fault("compressed", {"type": "gzip"}, PASSING),
    ],
    "other objects": [
        # A handle of which nobody had any bytes goes on with what there is then.
        Fault("of another size", {"type": "other", "id": "longer"}, STALE | WELL, STALE),
        Fault("of another size later", {"type": "other", "id": "longer"}, STALE, STALE, later=True),
        Fault("of the same size later", {"type": "other", "id": "as long"}, STALE, STALE, later=True),
        Fault("whole", {"type": "whole"}, always=WELL),
        Fault("html", {"type": "html"}, STALE | PASSING, STALE | FAILED),
    ],
    "ranges": [
        Fault("no range", headers("content-range"), STALE | PASSING, STALE | FAILED),
        Fault("garbage range", headers(content_range="bites"), PASSING),
        Fault("early range", headers(content_range=f"bytes 0-4095/{SIZE}"), PASSING),
        Fault("late range", headers(content_range=f"bytes 8193-12288/{SIZE}"), PASSING),
        Fault(
            "range of another object", headers(content_range="bytes 0-9/10"), STALE | PASSING, STALE | PASSING
        ),
    ],
    "lengths and tags": [
        Fault("no length", headers("content-length"), always=WELL),
        Fault("short length", headers(content_length="10"), PASSING),
        Fault("long length", headers(content_length="99999999"), PASSING),
        Fault("garbage length", headers(content_length="-1"), PASSING),
        Fault("no tag", headers("etag"), always=WELL),
        Fault("another tag later", headers(etag='"another"'), STALE, STALE, later=True),
    ],
    "no http": [
        Fault("reset", {"type": "reset"}),
        Fault("closed", {"type": "raw", "text": ""}),
        Fault("tls", {"type": "raw", "text": "\x16\x03\x01\x02\x00\x01\xff"}),
        Fault("no status", {"type": "raw", "text": "HTTP/1.1 abc\r\n\r\n"}),
        Fault("two lengths", {"type": "raw", "text": TWO_LENGTHS}),
        Fault("no headers", {"type": "raw", "text": "HTTP/1.1 206 Partial Content\r\n\r\nxxxxx"}, PASSING),
        Fault("half a head", {"type": "raw", "text": "HTTP/1.1 206 Partial Content\r\nContent-Ra"}),
        Fault("noise", {"type": "raw", "text": "\xff\n" * 10_000}),
    ],
    "slow": [
        Fault("silence", {"type": "silence"}, PASSING),
        Fault("late head", {"type": "slow-head", "seconds": 0.5}, always=WELL),
        Fault("too late head", {"type": "slow-head", "seconds": AGES}, PASSING),
        Fault("trickling head", {"type": "slow-head", "seconds": 0.3, "pieces": 20}, always=WELL),
        Fault("dribbling head", {"type": "slow-head", "seconds": AGES, "pieces": 1000}, PASSING),
    ],
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.may_warn(*WARNINGS)
def test_answers(sandbox: Sandbox, mount: Mount, group: str) -> None:
    """However the store answers, a read gives the right bytes or the right errno, and later the bytes."""
    check(sandbox, mount, GROUPS[group])
