"""Bodies of another length, encoding or object than the request asked for."""

import gzip
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.served import Served, receive

CONTENT = b"0123456789" * 10_000
RANGE = {"range": "bytes=5-14"}


@pytest.fixture
def url(sandbox: Served) -> str:
    sandbox.write("a.bin", CONTENT)
    return sandbox.url("a.bin")


@pytest.mark.parametrize("by", [-10, -3, 4, 300_000])
def test_another_length_that_is_announced(sandbox: Served, url: str, by: int) -> None:
    """A resized body under its own Content-Length contradicts nothing but Content-Range."""
    sandbox.fault("object", {"type": "resize", "by": by, "length": "true"})
    answer = sandbox.store.get(url, headers=RANGE)
    expected = (CONTENT[5:15] + b"x" * by) if by > 0 else CONTENT[5 : 15 + by]
    assert answer.content == expected
    assert answer.headers["content-length"] == str(10 + by)
    assert answer.headers["content-range"] == f"bytes 5-14/{len(CONTENT)}"


@pytest.mark.parametrize("by", [-3, 4])
def test_another_length_in_chunks(sandbox: Served, url: str, by: int) -> None:
    """A resized body without a Content-Length ends by its own means."""
    sandbox.fault("object", {"type": "resize", "by": by, "length": "none"})
    answer = sandbox.store.get(url, headers=RANGE)
    assert answer.content == (CONTENT[5:15] + b"xxxx")[: 10 + by]
    assert "content-length" not in answer.headers
    assert answer.headers["transfer-encoding"] == "chunked"


def test_a_body_that_is_shorter_than_it_says(sandbox: Served, url: str) -> None:
    """A body that is too short for its Content-Length ends with the connection."""
    sandbox.fault("object", {"type": "resize", "by": -3})
    received = bytearray()
    with sandbox.store.stream("GET", url, headers=RANGE) as answer:
        assert answer.headers["content-length"] == "10"
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            receive(answer, received)
    assert CONTENT[5:12].startswith(received)


def test_a_body_that_is_longer_than_it_says(sandbox: Served, url: str) -> None:
    """What is too much for the Content-Length follows on a connection that stays open."""
    sandbox.fault("object", {"type": "resize", "by": 4}, times=1)
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nRange: bytes=5-14\r\n\r\n"
    with (
        socket.create_connection((parts.hostname, parts.port or 0), timeout=5) as connection,
        connection.makefile("rb") as stream,
    ):
        for surplus in (b"xxxx", b""):
            connection.sendall(request.encode())
            head = b"".join(iter(stream.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.1 206")
            assert b"content-length: 10\r\n" in head
            assert stream.read(10 + len(surplus)) == CONTENT[5:15] + surplus


def test_gzip(sandbox: Served, url: str) -> None:
    """A compressed body says that it is one, and has its own length under the Content-Range asked for."""
    sandbox.fault("object", {"type": "gzip"})
    with sandbox.store.stream("GET", url, headers={"range": "bytes=0-9999"}) as answer:
        body = b"".join(answer.iter_raw())
    assert gzip.decompress(body) == CONTENT[:10_000]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["content-range"] == f"bytes 0-9999/{len(CONTENT)}"


def test_whole(sandbox: Served, url: str) -> None:
    """A request whose range is overlooked gets 200 and everything, and the next one its range."""
    sandbox.fault("object", {"type": "whole"}, times=1)
    first, second = (sandbox.store.get(url, headers=RANGE) for _ in range(2))
    assert (first.status_code, first.content) == (200, CONTENT)
    assert "content-range" not in first.headers
    assert (second.status_code, second.content) == (206, CONTENT[5:15])


@pytest.mark.parametrize("size", [len(CONTENT), 20])
def test_other_object(sandbox: Served, url: str, size: int) -> None:
    """The bytes of another object come with its ETag and size, whatever If-Match asked for."""
    other = b"abcdefghij" * (size // 10)
    sandbox.write("b.bin", other)
    right = sandbox.store.get(url)
    sandbox.fault("object", {"type": "other", "id": sandbox.resource("b.bin")["id"]}, times=1)
    headers = {**RANGE, "if-match": right.headers["etag"]}
    wrong = sandbox.store.get(url, headers=headers)
    assert (wrong.status_code, wrong.content) == (206, other[5:15])
    assert wrong.headers["content-range"] == f"bytes 5-14/{size}"
    assert wrong.headers["etag"] != right.headers["etag"]
    assert sandbox.store.get(url, headers=headers).content == CONTENT[5:15]


def test_other_resource(sandbox: Served, url: str) -> None:
    """The API can answer with another resource than the one asked for."""
    sandbox.write("b.bin", b"b")
    a, b = sandbox.resource("a.bin")["id"], sandbox.resource("b.bin")["id"]
    sandbox.fault("get", {"type": "other", "id": b}, ids=[a])
    assert sandbox.api.get(f"/api/resources/{a}").json()["data"]["resource"]["id"] == b
