"""The `Range` header: which one gets a part, and which one gets the whole object."""

import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.sandbox.ranges import Unsatisfiable, requested_span
from tests.support.served import Served

CONTENT = bytes(range(256)) * 3
POSITIONS = st.integers(0, len(CONTENT) + 10)


def expected(first: int | None, last: int | None) -> bytes | None:
    """The bytes of a range by slicing; None where there are none."""
    if first is None:
        part = CONTENT[-last:] if last else b""
    else:
        part = CONTENT[first:] if last is None else CONTENT[first : last + 1]
    return part or None


@st.composite
def bounds(draw: st.DrawFn) -> tuple[int | None, int | None]:
    first = draw(st.none() | POSITIONS)
    if first is None:
        return None, draw(POSITIONS)
    return first, draw(st.none() | st.integers(first, len(CONTENT) + 20))


def header(first: int | None, last: int | None) -> str:
    return f"bytes={'' if first is None else first}-{'' if last is None else last}"


def test_ranges_are_slices(sandbox: Served) -> None:
    """Every single range answers 206 with what a slice gives, and 416 with the size where that is empty."""
    sandbox.write("a.bin", CONTENT)
    url = sandbox.url("a.bin")

    @settings(max_examples=60, deadline=None)
    @given(bounds())
    def check(span: tuple[int | None, int | None]) -> None:
        answer = sandbox.store.get(url, headers={"range": header(*span)})
        part = expected(*span)
        if part is None:
            assert answer.status_code == 416
            assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
            assert b"<Code>InvalidRange</Code>" in answer.content
            return
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["accept-ranges"] == "bytes"
        named = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["content-range"])
        assert named is not None
        assert int(named[3]) == len(CONTENT)
        assert CONTENT[int(named[1]) : int(named[2]) + 1] == part

    check()


@given(st.text(alphabet="bytes=-, 0123456789x", max_size=20), st.integers(0, 50))
def test_spans_lie_inside(text: str, size: int) -> None:
    """Whatever the header says, a span is never empty and never leaves the object."""
    try:
        span = requested_span(text, size)
    except Unsatisfiable:
        return
    assert span is None or (span.length > 0 and 0 <= span.first <= size - span.length)


@pytest.mark.parametrize(
    "text", ["bytes=5-3", "bytes=-", "bytes=0-1,3-4", "bytes=a-b", "items=0-1", "bytes 0-1", "", "bytes=٣-٤"]
)
def test_what_is_no_range_is_ignored(text: str) -> None:
    """A malformed range, or more than one, gets the whole object."""
    assert requested_span(text, 100) is None


def test_no_range_gets_all(sandbox: Served) -> None:
    """Without a range the answer is 200 and whole, and says that ranges are taken."""
    sandbox.write("a.bin", CONTENT)
    answer = sandbox.store.get(sandbox.url("a.bin"))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert "content-range" not in answer.headers


def test_ranges_answered_with_200(sandbox: Served) -> None:
    """With `200-with-content-range` a range is answered with its bytes and its Content-Range, but 200."""
    sandbox.write("a.bin", CONTENT)
    sandbox.plan(ranges="200-with-content-range")
    answer = sandbox.store.get(sandbox.url("a.bin"), headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (200, CONTENT[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"


@pytest.mark.parametrize("signed_by", ["store", "content-endpoint"])
def test_ranges_ignored(sandbox: Served, signed_by: str) -> None:
    """With `ignored` a range is answered with everything, by either signer, and ranges are not offered."""
    sandbox.write("a.bin", CONTENT)
    sandbox.plan(ranges="ignored", signed_by=signed_by)
    answer = sandbox.store.get(sandbox.url("a.bin"), headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert not {"content-range", "accept-ranges"} & set(answer.headers)


def test_empty_object(sandbox: Served) -> None:
    """An empty object is answered whole, and any range of it with 416."""
    sandbox.write("empty")
    url = sandbox.url("empty")
    assert sandbox.store.get(url).content == b""
    statuses = [
        sandbox.store.get(url, headers={"range": text}).status_code for text in ("bytes=0-0", "bytes=-1")
    ]
    assert statuses == [httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE] * 2
