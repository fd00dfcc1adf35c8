"""Heads of answers that are well by the standard (RFC 9110, 9112), and those that are not."""

import time

import httpx
import pytest

from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, BadAnswer, Foreign, StoreUnavailable
from tests.support.wire import AGAIN, EVIL, IN_TIME, Kind, flooding, read, sending, talking

MANY = b"".join(b"X-%d: %s\r\n" % (number, b"v" * 300) for number in range(130))


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4 \t \r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length:4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n" + MANY + b"Content-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 4\n\n", True),
        (b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nX: folded\r\n  on\r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nX:\r\nX: \r\nContent-Length: 4\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: Keep-Alive, X\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: x\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: identity\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", True),
    ],
)
def test_heads_that_are_well(head: bytes, *, is_kept: bool) -> None:
    """The body is as long as the head says, and the connection is kept where the standard has it kept."""
    with talking(sending(head + b"good"), AGAIN) as (wire, http):
        assert read(wire, http, IN_TIME) == (200, b"good")
        assert read(wire, http, IN_TIME) == ((200, b"again") if is_kept else (200, b"good"))


@pytest.mark.parametrize(
    "value", [b"chunked", b"Chunked", b"chunked ", b"\tCHUNKED\t"], ids=["plain", "case", "blank", "both"]
)
def test_chunks(value: bytes) -> None:
    """The name of the coding has any case, and blanks around it are no part of it."""
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding:%s\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer: x\r\n\r\n" % value
    with talking(sending(data), AGAIN) as (wire, http):
        assert read(wire, http, IN_TIME) == (200, b"ok")
        assert read(wire, http, IN_TIME) == (200, b"again")


SIZES_THAT_ARE_NONE = [b"0x2", b"+2", b"0_2", b" 2", b"2\v", b"", b"zz", b"-2", b"2\xc2\xa0", b"2" * 4096]


@pytest.mark.parametrize(
    "body",
    [
        *(size + b"\r\nok\r\n0\r\n\r\n" for size in SIZES_THAT_ARE_NONE),
        b"2\r\nokXY0\r\n\r\n",
        b"2\nok\n0\n\n",
    ],
)
def test_chunks_that_are_none(body: bytes) -> None:
    """What is no chunk (RFC 9112, 7.1) is said as that, at once, and the connection is not used again."""
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    with talking(sending(data), EVIL) as (wire, http):
        with pytest.raises(BadAnswer, match="chunks"):
            read(wire, http, IN_TIME)
        assert read(wire, http, IN_TIME) == (200, b"good")


def test_chunks_that_break_off() -> None:
    """A body that ends before its last chunk is one that broke off, wherever it ends."""
    head, body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\n"
    for length in range(len(body) - 2):
        with talking(sending(head + body[:length]), EVIL) as (wire, http), pytest.raises(StoreUnavailable):
            read(wire, http, IN_TIME)


def test_values_without_their_blanks() -> None:
    """What is around a value is no part of it (RFC 9110, 5.5)."""
    data = b'HTTP/1.1 200 OK\r\nETag: \t"v1" \t\r\nContent-Length: 0\r\n\r\n'
    with talking(sending(data), AGAIN) as (wire, http):
        response = http.get(wire.url, {}, Deadline.after(IN_TIME))
        assert response.headers["etag"] == '"v1"'
        response.close()


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"\0\0\0\0", "not HTTP"),
        (b"\r\n\r\n", "not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS.*https"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ngood", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: four\r\n\r\ngood", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "not"),
    ],
)
@pytest.mark.parametrize(("kind", "useless"), [(ApiUnavailable, Foreign), (StoreUnavailable, BadAnswer)])
def test_what_cannot_be_read(data: bytes, phrase: str, kind: Kind, useless: type[Exception]) -> None:
    """It is said as that, with the name of the host, while the server waits for more; and is no silence."""

    def hold(connection: object) -> None:
        sending(data)(connection)  # type: ignore[arg-type] # a socket
        connection.recv(1)  # type: ignore[attr-defined]

    with talking(hold, None, kind) as (wire, http):
        begun = time.monotonic()
        with pytest.raises(useless, match=f"127.0.0.1 cannot be understood: .*{phrase}"):
            http.get(wire.url, {}, Deadline.after(IN_TIME))
        assert time.monotonic() - begun < IN_TIME / 2
        assert http.lost() == {}
        assert read(wire, http, IN_TIME) == (200, b"good")


def test_a_head_without_an_end() -> None:
    """A head beyond all measure is given up by its length, and said as that."""
    flood = flooding(b"HTTP/1.1 200 OK\r\n", b"a: %s\r\n" % (b"b" * 1000))
    with talking(flood, None) as (wire, http), pytest.raises(BadAnswer, match="without an end"):
        http.get(httpx.URL(wire.url), {}, Deadline.after(IN_TIME))
