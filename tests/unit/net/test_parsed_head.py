"""Our parser of heads takes what h11 takes, reads in it the same, and takes nothing else."""

import re

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from empirical_fs.net.heads import Head, Unreadable, parsed_head
from tests.support.wire import HEADERS, LENGTHS, LINES

QUESTION = h11.Request(method="GET", target="/", headers=[("Host", "any")])
IDENTITY = re.compile(rb"\ntransfer-encoding:[ \t]*identity[ \t]*\r?(?=\n)", re.IGNORECASE)
END = re.compile(rb"\n\r?\n")

ENDS = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\n\t"])
FIELDS = st.one_of(
    st.sampled_from(HEADERS),
    st.sampled_from(LENGTHS).map(b"Content-Length: ".__add__),
    st.sampled_from([b"chunked", b"Chunked", b"identity", b"gzip, chunked", b""]).map(
        b"Transfer-Encoding:".__add__
    ),
    st.sampled_from([b"close", b"Keep-Alive, x", b"\tclose \t", b""]).map(b"Connection:".__add__),
    st.tuples(st.binary(max_size=3), st.sampled_from([b":", b" :", b": "]), st.binary(max_size=9)).map(
        b"".join
    ),
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head, cut after its end."""
    line = draw(st.one_of(st.sampled_from(LINES), st.just(b"HTTP/1.1 206 Partial Content")))
    lines = [line, *draw(st.lists(FIELDS, max_size=6))]
    head = b"".join(each + draw(ENDS) for each in lines) + b"\r\n"
    end = END.search(head)
    return head[: end.end()] if end else head


def by_h11(head: bytes) -> tuple[int, dict[str, str]] | None:
    """The status and the fields; None for a head that it does not take."""
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**18)
    reader.send(QUESTION)
    try:
        reader.receive_data(IDENTITY.sub(b"", head))
        event = reader.next_event()
    except (h11.ProtocolError, ValueError):
        return None
    if not isinstance(event, h11.Response):
        return None
    fields: dict[str, list[str]] = {}
    for name, value in event.headers:
        fields.setdefault(name.decode(), []).append(value.decode("latin-1"))
    return event.status_code, {name: ", ".join(values) for name, values in fields.items()}


def by_us(head: bytes) -> Head | None:
    try:
        return parsed_head(head)
    except Unreadable:
        return None


@settings(max_examples=250)
@given(head=heads())
@example(head=b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\nA: d\r\n\r\n")
@example(head=b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n")
@example(head=b"HTTP/1.1 200 OK\r\nA: b\r\n \r\n\r\n")
@example(head=b"HTTP/1.1 200 OK\r\n")
@example(head=b"HTTP/1.1 200 OK\r\nA: b\r\n")
@example(head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")
@example(head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")
def test_as_h11(head: bytes) -> None:
    """What h11 rejects is rejected; from the rest come the same status and fields."""
    theirs, ours = by_h11(head), by_us(head)
    assert (ours is None) == (theirs is None)
    if ours is None or theirs is None:
        return
    status, fields = theirs
    if "transfer-encoding" in fields:
        assert ours.is_chunked
        assert ours.length is None
        fields.pop("content-length", None)
    elif status not in (204, 304):
        assert ours.length == (int(fields["content-length"]) if "content-length" in fields else None)
    fields.pop("transfer-encoding", None)
    found = {name: value.encode("latin-1", "replace") for name, value in ours.headers.items()}
    found.pop("transfer-encoding", None)
    assert ours.status == status
    if head.isascii():
        assert found == {name: value.encode("latin-1") for name, value in fields.items()}
    else:
        assert found.keys() == fields.keys()


def test_text_beyond_ascii() -> None:
    """It is read as UTF-8 where it is that, and else byte for byte."""
    for value, text in ((b"\xc3\xa9", "\xe9"), (b"\xe9", "\xe9"), (b"\xc3\xa9\xe9", "\xc3\xa9\xe9")):
        assert parsed_head(b"HTTP/1.1 200 OK\r\nX: %s\r\n\r\n" % value).headers == {"x": text}
