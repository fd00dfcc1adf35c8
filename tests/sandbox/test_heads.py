"""Answers that never come, come slowly, are no HTTP, or lead elsewhere."""

import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.served import Served, await_true

CONTENT = b"0123456789" * 1000


@pytest.fixture
def url(sandbox: Served) -> str:
    sandbox.write("a.bin", CONTENT)
    return sandbox.url("a.bin")


@pytest.mark.parametrize("on", ["list", "object"])
def test_silence(sandbox: Served, url: str, on: str) -> None:
    """A request that meets silence is never answered, and is over once its client leaves."""
    sandbox.fault(on, {"type": "silence"}, times=1)
    asked = f"{sandbox.base_url}/api/resources" if on == "list" else url
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(asked, timeout=httpx.Timeout(5, read=0.5))
    await_true(lambda: [each["status"] for each in sandbox.report()["log"]][-1:] == [None])
    await_true(lambda: not any(sandbox.report()["in_flight"].values()))
    sandbox.clear()
    sandbox.store.get(url)
    assert sandbox.report()["in_flight_peak"]["store"] == 1


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_slow_head(sandbox: Served, url: str, pieces: int) -> None:
    """A slow head takes its time, in one piece or byte by byte, and the answer is right nevertheless."""
    sandbox.fault("object", {"type": "slow-head", "seconds": 0.3, "pieces": pieces}, times=1)
    started = time.monotonic()
    answer = sandbox.store.get(url, headers={"range": "bytes=5-14"})
    assert time.monotonic() - started >= 0.3
    assert (answer.status_code, answer.content) == (206, CONTENT[5:15])
    assert sandbox.report()["log"][-1]["status"] == 206
    assert sandbox.store.get(url).content == CONTENT


def test_slow_head_comes_in_pieces(sandbox: Served, url: str) -> None:
    """What arrives of a slow head before its time is a part of it, and none of the body."""
    sandbox.fault("object", {"type": "slow-head", "seconds": 600, "pieces": 3000})
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as connection:
        connection.sendall(request.encode())
        received = connection.recv(1) + connection.recv(1)
    assert received == b"HT"


@pytest.mark.parametrize("text", ["", "\x16\x03\x01\xff", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_raw(sandbox: Served, url: str, text: str) -> None:
    """A raw text comes byte for byte, and then the end of the connection."""
    sandbox.fault("object", {"type": "raw", "text": text})
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
    received = b""
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as connection:
        connection.sendall(request.encode())
        while piece := connection.recv(1000):
            received += piece
    assert received == text.encode("latin-1")


def test_redirects_one_after_another(sandbox: Served, url: str) -> None:
    """A redirect to nowhere in particular leads to the same URL, as often as the fault lasts."""
    sandbox.fault("object", {"type": "redirect", "location": ""}, times=3)
    answer = sandbox.store.get(url, follow_redirects=True)
    assert [each.status_code for each in answer.history] == [302, 302, 302]
    assert answer.content == CONTENT


def test_body_many_times_over(sandbox: Served) -> None:
    """A body of the plan can be repeated, so that a plan of few bytes makes an answer of many."""
    sandbox.fault("list", {"type": "body", "body": "[]", "times": 1_000_000})
    assert sandbox.api.get("/api/resources").content == b"[]" * 1_000_000
