"""A server that sends any bytes at all: the request fails as documented, in time, and spoils no other."""

import time
from contextlib import closing
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import (
    ApiUnavailable,
    BadAnswer,
    DeadlinePassed,
    EmpiricalError,
    Foreign,
    StoreUnavailable,
)
from tests.support.hostile import outcome
from tests.support.wire import (
    AGAIN,
    EVIL,
    GOOD,
    IN_TIME,
    SOON,
    SPOILT,
    TOO_LONG,
    Kind,
    Send,
    Wire,
    dripping,
    flooding,
    read,
    sending,
    talking,
)

OF_THE_STORE = (StoreUnavailable, BadAnswer)
LENGTH_2 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
NOT_ASCII = b'Content-Disposition: inline; filename="\xe9"\r\n'
UNPARSEABLE = b"Content-Type: multipart/x; boundary*=x; boundary*0=y\r\n"


@settings(max_examples=120)
@given(data=SPOILT, kind=st.sampled_from([ApiUnavailable, StoreUnavailable]), stays=st.booleans())
@example(data=LENGTH_2 + NOT_ASCII + b"\r\nok", kind=StoreUnavailable, stays=True)
@example(data=LENGTH_2 + UNPARSEABLE + b"\r\nok", kind=ApiUnavailable, stays=True)
def test_any_bytes(*, data: bytes, kind: Kind, stays: bool) -> None:
    """Any bytes are an answer or a documented error, soon, and the next request gets its own answer."""
    kinds = (kind, Foreign if kind is ApiUnavailable else BadAnswer)
    with talking(sending(data), AGAIN if stays else None, kind) as (wire, http):
        begun = time.monotonic()
        first = outcome(lambda: read(wire, http, SOON if stays else IN_TIME), *kinds, DeadlinePassed)
        assert time.monotonic() - begun < TOO_LONG
        # Who asks again just as a server hangs up has asked in vain, and rightly so.
        assert stays or wire.first_ended.wait(IN_TIME)
        pauses = isinstance(first, tuple) and first[0] == 429
        second = outcome(lambda: read(wire, http, IN_TIME), *(kinds if pauses else []))
        if isinstance(second, tuple):
            assert second == (200, b"good") or (second == (200, b"again") and isinstance(first, tuple))


@pytest.mark.parametrize(
    "data",
    [
        LENGTH_2 + b"\r\nok and more",
        LENGTH_2 + b"Content-Length: 11\r\n\r\nok and more",
        LENGTH_2 + b"Content-Length: 11\r\n\r\nok",
        LENGTH_2 + b"Transfer-Encoding: gzip, chunked\r\n\r\nok",
        LENGTH_2 + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 304 Not Modified\r\n\r\noops",
        CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\nand more",
        CHUNKED + b"\r\n2\r\nok\r\nzz\r\n",
        CHUNKED + b"\r\nzz\r\n",
        CHUNKED + b"\r\n2\r\nok\r\n-1\r\n",
        CHUNKED + b"Content-Length: 2\r\n\r\nzz\r\n",
    ],
)
def test_a_connection_out_of_step_is_not_used_again(data: bytes) -> None:
    """Where an answer was not as long as it said, what comes next on its connection is nobody's answer."""
    with talking(sending(data), EVIL) as (wire, http):
        outcome(lambda: read(wire, http, SOON), *OF_THE_STORE, DeadlinePassed)
        assert read(wire, http, IN_TIME) == (200, b"good")


def test_the_head_is_latin_1() -> None:
    """A header that is not ASCII comes through, and costs neither the answer nor the connection."""
    with talking(sending(LENGTH_2 + NOT_ASCII + b"\r\nok"), AGAIN) as (wire, http):
        response = http.get(wire.url, {}, Deadline.after(IN_TIME))
        assert response.headers["content-disposition"] == 'inline; filename="é"'
        assert http.body(response).read_into(memoryview(bytearray(10))) == 2
        response.close()
        assert read(wire, http, IN_TIME) == (200, b"again")


def test_interim_answers_come_before_the_answer() -> None:
    """Any number of 1xx may come first (RFC 9110, 15.2); the answer is the one after them."""
    interim = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    with talking(sending(interim * 3 + LENGTH_2 + b"\r\nok"), AGAIN) as (wire, http):
        assert read(wire, http, IN_TIME) == (200, b"ok")
        assert read(wire, http, IN_TIME) == (200, b"again")


def test_failures_leave_their_slots() -> None:
    """However many answers fail, the requests that may be under way at once do not become fewer."""
    with talking(sending(GOOD), AGAIN) as (other, http):
        for data in (b"", LENGTH_2 + NOT_ASCII, LENGTH_2 + UNPARSEABLE + b"\r\nok", LENGTH_2 + LENGTH_2):
            with closing(Wire(sending(data), None)) as wire:
                outcome(partial(read, wire, http, IN_TIME), *OF_THE_STORE)
        assert read(other, http, IN_TIME) == (200, b"good")


@pytest.mark.parametrize(
    "send",
    [
        flooding(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        flooding(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 1000),
        flooding(b"HTTP/1.1 200 OK\r\na: ", b"b" * 10_000),
        flooding(CHUNKED + b"\r\n2\r\nok\r\n0\r\n", b"a: b\r\n" * 1000),
        flooding(CHUNKED + b"\r\n2;", b"x" * 10_000),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"a"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", b"a: b\r\n"),
        dripping(CHUNKED + b"\r\n2\r\nok\r\n0\r\n", b"a: b\r\n"),
        dripping(CHUNKED + b"\r\n2;", b"x"),
    ],
)
def test_an_answer_without_an_end(send: Send) -> None:
    """A head or a trailer that never ends, however fast or slowly it comes, is given up in time."""
    with talking(send, None) as (wire, http):
        begun = time.monotonic()
        first = outcome(lambda: read(wire, http, SOON), *OF_THE_STORE, DeadlinePassed)
        assert isinstance(first, EmpiricalError)
        assert time.monotonic() - begun < TOO_LONG
        assert read(wire, http, IN_TIME) == (200, b"good")
