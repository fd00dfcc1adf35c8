"""What the head of a store's answer says: the part that was asked for, the whole, a refusal, or nonsense."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.errors import BadAnswer, StoreError, StoreUnavailable, UrlRefused
from empirical_fs.reading.fetch.answer_heads import measured, read_head
from empirical_fs.reading.version import Extent, Head, Refused, Validators

SIZE = 100
TAG = '"v1"'
START, STOP = 10, 20
Headers = dict[str, str]


def part(first: int, last: int, total: int | str = SIZE, **headers: str) -> Headers:
    length = {"content-length": str(last - first + 1)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"content-range": f"bytes {first}-{last}/{total}", **length, **named}


def read(status: int, headers: Headers, size: int | None = SIZE) -> Head:
    return read_head(status, headers, START, STOP, size)


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (part(10, 19), Head(Extent(10, 20), total=SIZE)),
        (part(10, 19, etag=TAG), Head(Extent(10, 20), Validators(TAG), SIZE)),
        (part(10, 19, "*"), Head(Extent(10, 20))),
        (part(10, 14), Head(Extent(10, 15), total=SIZE)),
        (part(10, 14, 15), Head(Extent(10, 15), total=15)),
        (part(0, 99), Head(Extent(0, SIZE), total=SIZE)),
        (part(0, 99, "*"), Head(Extent(0, SIZE))),
        ({"content-range": "bytes 10-19/100"}, Head(Extent(10, 20, is_announced=False), total=SIZE)),
        ({"content-range": " bytes 10-19/100\t"}, Head(Extent(10, 20, is_announced=False), total=SIZE)),
        (part(10, 19, content_encoding="identity"), Head(Extent(10, 20), total=SIZE)),
        (part(10, 19, content_encoding="Identity"), Head(Extent(10, 20), total=SIZE)),
        (part(10, 19, content_length=" 10 "), Head(Extent(10, 20), total=SIZE)),
    ],
)
def test_parts_that_fit(status: int, headers: Headers, expected: Head) -> None:
    """A 206, and a 200 with a Content-Range, is what was asked for, less of it, or everything."""
    assert read(status, headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content-length": "100"}, Head(Extent(0, SIZE, is_range=False), total=SIZE)),
        ({"content-length": "99"}, Head(Extent(0, 99, is_range=False), total=99)),
        (
            {"content-length": "100", "etag": TAG},
            Head(Extent(0, SIZE, is_range=False), Validators(TAG), SIZE),
        ),
        ({}, Head(Extent(0, SIZE, is_announced=False, is_range=False))),
    ],
)
def test_the_whole_object(headers: Headers, expected: Head) -> None:
    """A 200 without a Content-Range is everything, whatever was asked for."""
    assert read(200, headers) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Validators()),
        ({"etag": ""}, Validators()),
        ({"etag": '""', "x-amz-version-id": "null"}, Validators()),
        ({"etag": 'W/""'}, Validators()),
        ({"etag": f" {TAG}\t "}, Validators(TAG)),
        ({"etag": 'W/"v1"'}, Validators('W/"v1"')),
        ({"etag": "unquoted \xe9"}, Validators("unquoted \xe9")),
        (
            {"last-modified": "Sat, 28 Nov 2026 08:00:00 GMT"},
            Validators(None, None, "Sat, 28 Nov 2026 08:00:00 GMT"),
        ),
        ({"x-amz-version-id": "3sL4"}, Validators(None, "3sL4")),
        ({"x-goog-generation": "16"}, Validators(None, "16")),
        ({"x-ms-version-id": "2026"}, Validators(None, "2026")),
    ],
)
def test_validators(headers: Headers, expected: Validators) -> None:
    """Every header that tells versions apart is read, in any form, without the blanks around its value."""
    assert read(206, part(10, 19) | headers).validators == expected
    assert read(412, headers) == Head(Refused.CONDITION, expected)


def test_a_web_page() -> None:
    """A body that is a web page by its type is told as that."""
    assert read(200, {"content-length": "9", "content-type": "Text/HTML; charset=utf-8"}).is_html
    assert not read(200, {"content-length": "9", "content-type": "text/plain"}).is_html


@pytest.mark.parametrize(
    ("headers", "total"),
    [({}, None), ({"content-range": "bytes */5"}, 5), ({"content-range": "bytes 0-4/5"}, None)],
)
def test_past_the_end(headers: Headers, total: int | None) -> None:
    """A 416 tells the length of the object, if it does."""
    assert read(416, headers) == Head(Refused.PAST_THE_END, total=total)


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
        part(10, 19, content_length="10, 11"),
        part(10, 19, content_length="10,"),
        part(10, 19, content_type="multipart/byteranges; boundary=x"),
        part(10, 19, 101, content_encoding="gzip"),
        part(10, 19, "*", content_encoding="br"),
        part(10, 19, 99, content_encoding="utf-8, X-GZIP"),
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
    with pytest.raises(BadAnswer):
        read(status, headers)


@pytest.mark.parametrize("encoding", ["gzip", "br", "UTF-8", "", "identity", "x-made-up", "gzip,UTF-8"])
@pytest.mark.parametrize("size", [SIZE, None])
def test_an_object_as_it_was_stored(encoding: str, size: int | None) -> None:
    """What an uploader says of the encoding is no reason to refuse as many bytes as there should be."""
    assert read(206, part(10, 19, content_encoding=encoding), size=size).brings == Extent(10, 20)
    whole = read(200, {"content-length": str(SIZE), "content-encoding": encoding}, size=size)
    assert whole.brings == Extent(0, SIZE, is_range=False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("headers", [{"content-length": "40"}, {}])
def test_what_was_compressed_on_the_way(headers: Headers, encoding: str) -> None:
    """It has another length than the object, or none beforehand."""
    with pytest.raises(BadAnswer, match="compressed"):
        read(200, headers | {"content-encoding": encoding})


@pytest.mark.parametrize(
    "headers",
    [
        part(10, 19, content_length="10, 10"),
        part(10, 19, content_length=" 10 "),
        {"content-range": "Bytes 10-19/100 "},
        {"content-range": "BYTES 10-19/100"},
    ],
)
def test_what_is_well_by_the_standard(headers: Headers) -> None:
    """The case of a unit, the blanks around a value, and a length that is said twice change nothing."""
    assert read(206, headers).brings == Extent(10, 20, is_announced="content-length" in headers)


@pytest.mark.parametrize("status", [407, 451, 511, 520, 522, 530])
def test_who_stands_in_between(status: int) -> None:
    """What a proxy, a censor, a sign-in page or a CDN says is no word of the store's, and may change."""
    with pytest.raises(StoreUnavailable, match=str(status)):
        read(status, {})


@pytest.mark.parametrize(
    ("headers", "is_from_intermediary"),
    [
        ({}, False),
        ({"content-type": "application/xml"}, False),
        ({"content-type": "Text/HTML; charset=utf-8"}, True),
        ({"content-type": "application/json", "cf-mitigated": "challenge"}, True),
    ],
)
def test_who_refuses(headers: Headers, *, is_from_intermediary: bool) -> None:
    """A web page is for people: it may be of something in between."""
    with pytest.raises(UrlRefused) as caught:
        read(403, headers)
    assert caught.value.is_from_intermediary == is_from_intermediary


@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}, {"content-type": "multipart/byteranges"}])
def test_a_part_without_its_range(headers: Headers) -> None:
    """A 206 that does not say which bytes it has is refused."""
    with pytest.raises(BadAnswer):
        read(206, headers)


def test_a_whole_of_unknown_length() -> None:
    """A 200 that says nothing about its length is refused where the size is not known either."""
    with pytest.raises(BadAnswer):
        read(200, {}, size=None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals(status: int) -> None:
    """The statuses of a URL that expired, or that leads nowhere, ask for another URL."""
    with pytest.raises(UrlRefused) as caught:
        read(status, {})
    assert caught.value.status == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize(
    ("headers", "seconds"), [({}, None), ({"retry-after": "7"}, 7), ({"retry-after": "x"}, None)]
)
def test_busy(status: int, headers: Headers, seconds: float | None) -> None:
    """A store that is busy is worth asking again, after what it asks for."""
    with pytest.raises(StoreUnavailable) as caught:
        read(status, headers)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [100, 201, 202, 204, 207, 301, 304, 402, 405, 406, 413])
def test_other_statuses(status: int) -> None:
    """Any other status is no answer to a GET of ours."""
    with pytest.raises(BadAnswer):
        read(status, part(10, 19))


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
    st.none() | st.just(SIZE),
)
def test_whatever_comes(
    status: int, headers: Mapping[str, str], span: tuple[int, int], size: int | None
) -> None:
    """Whatever the headers say, the outcome is a refusal, an extent that fits, or a StoreError."""
    start, stop = span[0], min(sum(span), SIZE)
    try:
        head = read_head(status, headers, start, stop, size)
    except StoreError:
        return
    if not isinstance(head.brings, Extent):
        assert status in (412, 416)
        return
    extent = head.brings
    assert status in (200, 206)
    assert 0 <= extent.start <= extent.stop
    assert head.validators.etag == (headers.get("etag") or None)
    assert head.total is None or extent.stop <= head.total
    is_whole = extent.start == 0 and extent.stop in (size, head.total)
    assert is_whole or (extent.start == start and extent.start < extent.stop <= stop)


def whole(validators: Validators, length: int | None) -> Head:
    return Head(
        Extent(0, length or SIZE, is_announced=length is not None, is_range=False), validators, length
    )


@pytest.mark.parametrize(
    ("head", "listed", "size"),
    [
        (Head(Extent(0, 1), Validators(), 7), None, 7),
        (Head(Extent(0, 1), Validators(), 7), 0, 7),
        (whole(Validators(), 7), None, 7),
        (whole(Validators(TAG), 7), 0, 7),
        (whole(Validators(TAG), 7)._replace(is_html=True), None, 7),
        (whole(Validators(), 0), 0, 0),
        (Head(Refused.PAST_THE_END, total=0), 0, 0),
    ],
)
def test_measured(head: Head, listed: int | None, size: int) -> None:
    """The size is the total of a part, the length of a whole, and 0 where not even a first byte is there."""
    assert measured(head, listed) == size


@pytest.mark.parametrize(
    ("head", "listed"),
    [
        (Head(Extent(0, 1), Validators(TAG), None), None),
        (whole(Validators(), None), None),
        (whole(Validators(), 7), 0),
        (whole(Validators(), 7)._replace(is_html=True), None),
        (Head(Refused.PAST_THE_END), None),
        (Head(Refused.PAST_THE_END, total=7), None),
        (Head(Refused.CONDITION), None),
    ],
)
def test_no_size(head: Head, listed: int | None) -> None:
    """An answer that gives no size, or may be a page where the API says 0, is of no use."""
    with pytest.raises(BadAnswer):
        measured(head, listed)


def test_the_size_of_a_web_page() -> None:
    """A page without validators is believed where the object may be one."""
    assert measured(whole(Validators(), 7)._replace(is_html=True), None, is_html=True) == 7
