from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.errors import BadAnswer, ContentChanged, StoreError, StoreUnavailable, UrlRefused
from empirical_fs.reading.answers import Extent, check_answer, size_from_answer

SIZE = 100
TAG = '"v1"'
START, STOP = 10, 20
Headers = dict[str, str]


def part(first: int, last: int, total: int | str = SIZE, **headers: str) -> Headers:
    length = {"content-length": str(last - first + 1)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"content-range": f"bytes {first}-{last}/{total}", **length, **named}


def check(
    status: int, headers: Headers, *, size: int | None = SIZE, etag: str | None = TAG, start: int = START
) -> Extent:
    return check_answer(status, headers, start, STOP, size, etag)


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (part(10, 19), Extent(10, 20, SIZE, None)),
        (part(10, 19, etag=TAG), Extent(10, 20, SIZE, TAG)),
        (part(10, 19, "*"), Extent(10, 20, None, None)),
        (part(10, 14), Extent(10, 15, SIZE, None)),
        (part(0, 99), Extent(0, SIZE, SIZE, None)),
        (part(0, 99, "*"), Extent(0, SIZE, None, None)),
        (part(10, 19, content_length="10"), Extent(10, 20, SIZE, None)),
        ({"content-range": "bytes 10-19/100"}, Extent(10, 20, SIZE, None)),
        (part(10, 19, content_encoding="identity"), Extent(10, 20, SIZE, None)),
        (part(10, 19, content_encoding="Identity"), Extent(10, 20, SIZE, None)),
    ],
)
def test_parts_that_fit(status: int, headers: Headers, expected: Extent) -> None:
    """A 206, and a 200 with a Content-Range, is what was asked for, less of it, or everything."""
    assert check(status, headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-length": "100"}, Extent(0, SIZE, SIZE, None)),
        ({"content-length": "100", "etag": TAG}, Extent(0, SIZE, SIZE, TAG)),
        ({}, Extent(0, SIZE, None, None, is_announced=False)),
    ],
)
def test_the_whole_object(headers: Headers, expected: Extent) -> None:
    """A 200 without a Content-Range is everything, whatever was asked for."""
    assert check(200, headers) == expected


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    "headers",
    [
        part(11, 20),
        part(9, 18),
        part(10, 20),
        part(20, 29),
        part(0, 9),
        part(1, 99),
        part(0, 199, "*"),
        part(19, 10, content_length="10"),
        part(10, 19, 15),
        part(10, 19, content_length="9"),
        part(10, 19, content_length="11"),
        part(10, 19, content_length="ten"),
        part(10, 19, content_length="-10"),
        part(10, 19, content_length="10, 10"),
        part(10, 19, content_encoding="gzip"),
        part(10, 19, content_encoding="br"),
        part(10, 19, content_encoding=""),
        {"content-range": "bytes */100"},
        {"content-range": "bytes 10-/100"},
        {"content-range": "bytes -19/100"},
        {"content-range": "bytes 10-19"},
        {"content-range": "items 10-19/100"},
        {"content-range": "bytes=10-19/100"},
        {"content-range": "bytes 10-19/100, bytes 30-39/100"},
        {"content-range": "bytes \u0661\u0660-19/100"},
        {"content-range": "bytes 10-19/" + "9" * 30},
        {"content-range": ""},
    ],
)
def test_parts_that_do_not_fit(status: int, headers: Headers) -> None:
    """Other bytes, a range that contradicts itself or its length, or one that cannot be read, are refused."""
    with pytest.raises(BadAnswer if "15" not in headers["content-range"] else (BadAnswer, ContentChanged)):
        check(status, headers)


@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}, {"content-type": "multipart/byteranges"}])
def test_a_part_without_its_range(headers: Headers) -> None:
    """A 206 that does not say which bytes it has is refused."""
    with pytest.raises(BadAnswer):
        check(206, headers)


def test_a_whole_of_unknown_length() -> None:
    """A 200 that says nothing about its length is refused where the size is not known either."""
    with pytest.raises(BadAnswer):
        check(200, {}, size=None)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, part(10, 19, 101)),
        (206, part(10, 19, 99)),
        (206, part(10, 19, etag='"v2"')),
        (206, part(10, 19, etag='W/"v1"')),
        (200, {"content-length": "99", "etag": '"v1"'}),
        (200, {"content-length": "100", "etag": '"v2"'}),
        (412, {}),
        (416, {"content-range": "bytes */5"}),
        (416, {}),
    ],
)
def test_another_version(status: int, headers: Headers) -> None:
    """Another total, another ETag, 412 and 416 mean that the object is not the one that was opened."""
    with pytest.raises(ContentChanged):
        check(status, headers)


@pytest.mark.parametrize("length", ["99", "0"])
def test_a_page_in_place_of_the_object(length: str) -> None:
    """A 200 of another size and without the ETag, as of a sign-in page, says nothing of the object."""
    with pytest.raises(BadAnswer):
        check(200, {"content-length": length})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals(status: int) -> None:
    """The statuses of a URL that expired, or that leads nowhere, ask for another URL."""
    with pytest.raises(UrlRefused) as caught:
        check(status, {})
    assert caught.value.status == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize(
    ("headers", "seconds"), [({}, None), ({"retry-after": "7"}, 7), ({"retry-after": "x"}, None)]
)
def test_busy(status: int, headers: Headers, seconds: float | None) -> None:
    """A store that is busy is worth asking again, after what it asks for."""
    with pytest.raises(StoreUnavailable) as caught:
        check(status, headers)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [100, 201, 202, 204, 207, 301, 304, 402, 405, 406, 413, 451])
def test_other_statuses(status: int) -> None:
    """Any other status is no answer to a GET of ours."""
    with pytest.raises(BadAnswer):
        check(status, part(10, 19))


NUMBERS = st.integers(0, 120).map(str) | st.sampled_from(["*", "", "-1", "9" * 19, "9" * 20, "x"])
RANGES = st.builds("bytes {}-{}/{}".format, NUMBERS, NUMBERS, NUMBERS) | st.builds(
    "bytes */{}".format, NUMBERS
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "content-range": RANGES | st.text(max_size=20),
        "content-length": NUMBERS,
        "content-encoding": st.sampled_from(["identity", "gzip", ""]),
        "etag": st.sampled_from([TAG, '"v2"', 'W/"v1"', ""]),
        "retry-after": NUMBERS,
    },
)
STATUSES = st.sampled_from([200, 206]) | st.integers(100, 999)


@settings(max_examples=200)
@given(
    STATUSES,
    ANSWERS,
    st.tuples(st.integers(0, 99), st.integers(1, 100)),
    st.tuples(st.none() | st.just(SIZE), st.none() | st.just(TAG)),
)
def test_whatever_comes(
    status: int,
    headers: Mapping[str, str],
    span: tuple[int, int],
    known: tuple[int | None, str | None],
) -> None:
    """Whatever the headers say, the outcome is an extent that fits the request, or a StoreError."""
    start, stop = span[0], min(sum(span), SIZE)
    size, etag = known
    try:
        extent = check_answer(status, headers, start, stop, size, etag)
    except StoreError:
        return
    assert status in (200, 206)
    assert 0 <= extent.start <= extent.stop
    assert extent.etag == headers.get("etag")
    assert etag is None or extent.etag in (None, etag)
    assert size is None or extent.total in (None, size)
    assert extent.total is None or extent.stop <= extent.total
    is_whole = extent.start == 0 and extent.stop in (size, extent.total)
    assert is_whole or (extent.start == start and extent.start < extent.stop <= stop)


@settings(max_examples=120)
@given(STATUSES, ANSWERS)
def test_size_of_whatever_comes(status: int, headers: Mapping[str, str]) -> None:
    """The size of an object is a number of bytes, or a StoreError."""
    try:
        size = size_from_answer(status, headers)
    except StoreError:
        return
    assert 0 <= size < 10**19


@pytest.mark.parametrize(
    ("status", "headers", "size"),
    [
        (206, part(0, 0, 7), 7),
        (200, part(0, 0, 7), 7),
        (200, part(0, 6, 7), 7),
        (200, {"content-length": "7"}, 7),
        (200, {"content-length": "0"}, 0),
        (416, {"content-range": "bytes */0"}, 0),
    ],
)
def test_size(status: int, headers: Headers, size: int) -> None:
    """The size is the total of a part, the length of a whole, and 0 where not even a first byte is there."""
    assert size_from_answer(status, headers) == size


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (206, part(0, 0, "*"), BadAnswer),
        (206, part(1, 1, 7), BadAnswer),
        (200, {}, BadAnswer),
        (416, {}, ContentChanged),
        (416, {"content-range": "bytes */7"}, ContentChanged),
        (403, {}, UrlRefused),
        (503, {}, StoreUnavailable),
    ],
)
def test_no_size(status: int, headers: Headers, error: type[StoreError]) -> None:
    """An answer that gives no size is an error and never 0."""
    with pytest.raises(error):
        size_from_answer(status, headers)
