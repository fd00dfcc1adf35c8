"""What a store says in statuses and headers, fuzzed: the checks fail by documented errors alone."""

import math
import struct
import threading

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import StoreError, StoreUnavailable
from empirical_fs.net.retry import Tries, retry_after
from empirical_fs.reading.fetch.answer_heads import measured, read_head
from empirical_fs.reading.version import Extent, Head, Validators, Version, judge
from tests.support.hostile import DATES, INTEGER_MAX, outcome

Headers = list[tuple[bytes, bytes]]

# Numbers as they must not be written, next to those that are right for the ranges below.
NUMBERS = ["0", "5", "9", "10", "99", "100", "00", "+5", "-5", "-0", "5.0", "5_0", " 5", "5 ", "0x5"]
NUMBERS += ["1e3", "\xb2"]
NUMBERS += ["*", "", "9" * 18, "9" * 19, "9" * 20, "9" * 5000, str(2**63 - 1), str(2**63), str(2**64), "5, 5"]
VALUES = st.sampled_from(NUMBERS) | st.integers(-1, 101).map(str)
RANGES = st.builds(
    "{}{}-{}/{}".format, st.sampled_from(["bytes "] * 4 + ["bytes=", "Bytes ", ""]), VALUES, VALUES, VALUES
)
GOOD_RANGES = st.sampled_from(
    ["bytes 5-9/100", "bytes 0-99/100", "bytes 0-0/100", "bytes 0-99/*", "bytes */0"]
)
ETAGS = st.sampled_from(['"v1"', 'W/"v1"', "", '"\xe9"', '"a\r\n b"', '"\0"', '"' + "v" * 5000 + '"'])
JUNK = st.text(st.characters(max_codepoint=0xFF), max_size=12)
NAMED = {
    "content-range": GOOD_RANGES | RANGES | VALUES.map("bytes */{}".format) | JUNK,
    "content-length": VALUES | JUNK,
    "content-encoding": st.sampled_from(["identity", "IDENTITY", "gzip", ""]) | JUNK,
    "etag": ETAGS | JUNK,
    "retry-after": VALUES | DATES | JUNK,
}
ANSWERS = st.lists(
    st.one_of(
        *(
            st.tuples(
                st.sampled_from([name.encode(), name.title().encode()]),
                values.map(lambda text: text.encode("latin-1", "replace")),
            )
            for name, values in NAMED.items()
        )
    ),
    max_size=4,
)
STATUSES = st.sampled_from([200, 206, 206, 416, 503]) | st.integers(-1, 10**6)
SPANS = st.sampled_from([(5, 10), (0, 1), (0, 100), (INTEGER_MAX - 1, INTEGER_MAX)])


@settings(max_examples=120)
@given(
    STATUSES,
    ANSWERS,
    SPANS,
    st.sampled_from([0, 100, INTEGER_MAX]),
    st.sampled_from([None, Validators(), Validators('"v1"')]),
)
@example(200, [(b"Content-Length", b"100"), (b"ETag", b'"\xe9"')], (5, 10), 100, None)
@example(200, [(b"Content-Length", b"100"), (b"ETag", b'"\r\n b"')], (5, 10), 100, None)
def test_any_answer(
    status: int, raw: Headers, span: tuple[int, int], size: int, known: Validators | None
) -> None:
    """An answer is a documented error or an extent that is whole or within what was asked for."""
    headers, (start, stop) = httpx.Headers(raw), span

    def served() -> Head:
        head = read_head(status, headers, start, stop, size)
        judge(Version(size, known), head)
        return head

    head = outcome(served, StoreError)
    if isinstance(head, Head):
        extent = head.brings
        assert isinstance(extent, Extent)
        assert status in (200, 206)
        assert 0 <= extent.start <= extent.stop
        assert head.total in (None, size)
        assert known is None or (head.validators.etag or "").removeprefix("W/") == (known.etag or "")
        is_whole = extent.start == 0 and extent.stop in (size, head.total)
        assert is_whole or start == extent.start < extent.stop <= stop
        length = headers.get("content-length") or None
        assert length is None or int(length) == extent.stop - extent.start
        # The next request sends it back in If-Match.
        sent = head.validators.if_match or ""
        assert sent.isascii()
        assert sent.isprintable()
    elif isinstance(head, StoreUnavailable):
        assert head.retry_after is None or head.retry_after >= 0


@settings(max_examples=120)
@given(STATUSES, ANSWERS, st.sampled_from([None, 0]))
@example(206, [(b"Content-Range", b"bytes 0-0/9999999999999999999")], None)
@example(200, [(b"Content-Length", b"9223372036854775808")], None)
def test_any_size(status: int, raw: Headers, listed: int | None) -> None:
    """A size that was measured is one that the size of a file can be."""
    size = outcome(lambda: measured(read_head(status, httpx.Headers(raw), 0, 1, None), listed), StoreError)
    if isinstance(size, int):
        assert status in (200, 206, 416)
        assert size >= 0
        struct.pack("q", size)


@settings(max_examples=200)
@given(st.sampled_from(NUMBERS) | DATES | st.text(st.characters()))
@example("9" * 301)
@example("9" * 5000)
@example("1" + "0" * 300)
def test_any_wait_fits_the_policy(text: str) -> None:
    """Whatever a server asks for is waited for within the deadline, or not at all and without another try."""
    seconds = retry_after({"retry-after": text})
    assert seconds is None or (seconds >= 0 and not math.isnan(seconds))
    if seconds is None or seconds <= 5:
        return
    tries, failure = 0, StoreUnavailable("busy", seconds)

    def ask() -> None:
        nonlocal tries
        policy = Tries(Deadline.after(5), threading.Event(), lambda *_: None)
        while True:
            try:
                tries += 1
                raise failure
            except StoreUnavailable as error:
                policy.wait(error)

    assert outcome(ask, StoreUnavailable) is failure
    assert tries == 1
