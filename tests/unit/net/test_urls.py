"""Which URLs may be fetched, which redirects are followed, and when a signed URL expires."""

from calendar import timegm

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.errors import UnsafeUrl
from empirical_fs.net.urls import (
    declared_expiry,
    exact_target,
    is_loopback,
    looks_signed,
    parse_fetchable,
    parse_given,
    redirected,
)

FRAGMENTS = ["https", "http", "ftp", "://", ":", "//", "/", "?", "#", "@", "[", "]", "::1", "%", "%2F", "%zz"]
FRAGMENTS += [
    "localhost",
    "127.0.0.1",
    "example.org",
    ":443",
    ":99999",
    ":x",
    "xn--",
    "é",
    "\n",
    "\x00",
    "\ud800",
    " ",
]
FRAGMENTS += [
    "X-Amz-Date=20260101T000000Z",
    "X-Amz-Expires=60",
    "Expires=1769949045",
    "&",
    "=",
    ".",
    "\\",
    "a" * 64,
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(st.characters(), max_size=3), max_size=8).map("".join)
BASE = httpx.URL("https://store.example.org/a/b?sig=secret")


def parse_redirect(base: httpx.URL, location: str) -> httpx.URL:
    return parse_given(redirected(base, location), base)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://LOCALHOST:8000/",
        "http://127.0.0.1/",
        "http://127.8.8.8/",
        "http://[::1]:80/",
        "http://[0:0:0:0:0:0:0:1]/",
    ],
)
def test_loopback(url: str) -> None:
    """localhost, 127.0.0.0/8 and ::1 are this machine."""
    assert is_loopback(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://localhost.example.org/",
        "http://127.0.0.1.example.org/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
        "http://[2001:db8::1]/",
    ],
)
def test_not_loopback(url: str) -> None:
    """What merely looks like it is not this machine."""
    assert not is_loopback(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://x.org/a?b=c",
        "https://x.org:8443/",
        "http://localhost:1/",
        "http://127.0.0.1/",
        "http://[::1]/",
    ],
)
def test_what_may_be_fetched(url: str) -> None:
    """https, and http to this machine, may be fetched."""
    assert str(parse_fetchable(url)) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/a",
        "//x.org/a",
        "http://x.org/secret",
        "http://10.0.0.1/secret",
        "http://localhost@x.org/secret",
        "https://user:secret@x.org/",
        "https://secret@x.org/",
        "https:///secret",
        "https:secret",
        "ftp://x.org/secret",
        "file:///secret",
        "javascript:secret",
        "HTTPS ://secret",
        "https://[::1/secret",
        "https://x.org:port/secret",
        "https://x.org/\r\nsecret",
        "https://x.org/\x00secret",
        "https://\ud800/secret",
        "https://x.org/" + "secret" * 12_000,
        "http://localhost.evil.org/secret",
        "http://127.0.0.1.evil.org/secret",
        "https://x.org:0/secret",
        "http://127.0.0.1:00/secret",
        "https://x.org:65536/secret",
    ],
)
def test_what_must_not_be_fetched(url: str) -> None:
    """Anything else is unsafe, and the message does not quote it."""
    with pytest.raises(UnsafeUrl) as caught:
        parse_fetchable(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@settings(max_examples=120)
@given(TEXTS)
def test_parsing_raises_nothing_else(text: str) -> None:
    """Any text is a URL that may be fetched or is unsafe; no parser's exception gets out, and no URL text."""
    for parse in (parse_fetchable, lambda text: parse_redirect(BASE, text)):
        message = ""
        try:
            url = parse(text)
        except UnsafeUrl as error:
            message = str(error)
        else:
            assert url.scheme == "https" or (url.scheme == "http" and is_loopback(url))
            assert not url.userinfo
        assert "example" not in message
        assert "secret" not in message
    assert isinstance(looks_signed(text), bool)
    assert isinstance(declared_expiry(text), float | None)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/c", "https://store.example.org/c"),
        ("c?sig=2", "https://store.example.org/a/c?sig=2"),
        ("//other.org/c", "https://other.org/c"),
        ("https://other.org/c", "https://other.org/c"),
    ],
)
def test_redirects_that_are_followed(location: str, target: str) -> None:
    """A redirect may be relative, or lead to another https host."""
    assert str(parse_redirect(BASE, location)) == target


def test_redirects_of_this_machine() -> None:
    """This machine may send us to this machine, and to the network over https."""
    base = httpx.URL("http://127.0.0.1:1/a")
    assert str(parse_redirect(base, "http://localhost:2/b")) == "http://localhost:2/b"
    assert str(parse_redirect(base, "https://x.org/b")) == "https://x.org/b"


@pytest.mark.parametrize(
    "location",
    [
        "http://other.org/",
        "http://store.example.org/c",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "//localhost/",
        "https://[::1]:8443/",
        "https://user:pass@other.org/",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
def test_redirects_that_are_not_followed(location: str) -> None:
    """No redirect leads from https to http, nor from the network to this machine."""
    with pytest.raises(UnsafeUrl):
        parse_redirect(BASE, location)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost.",
        "a.localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0",
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "2852039166",
        "[64:ff9b::7f00:1]",
    ],
)
def test_redirects_to_this_machine_in_disguise(host: str) -> None:
    """The network cannot send us to this machine by one of its other spellings either."""
    with pytest.raises(UnsafeUrl):
        parse_redirect(BASE, f"https://{host}/")


@pytest.mark.parametrize(
    ("text", "giver", "is_given"),
    [
        ("https://store.example/o", "https://api.example", True),
        ("http://127.0.0.1:9/o", "http://localhost:8377", True),
        ("https://store.example/o", "http://localhost:8377", True),
        ("http://127.0.0.1:9/o", "https://api.example", False),
        ("https://localhost/o", "https://api.example", False),
        ("https://127.1/o", "https://api.example", False),
        ("file:///etc/passwd", "http://localhost:8377", False),
    ],
)
def test_what_an_api_may_give(text: str, giver: str, *, is_given: bool) -> None:
    """Only an API on this machine names URLs on this machine."""
    if is_given:
        assert str(parse_given(text, httpx.URL(giver))) == text
    else:
        with pytest.raises(UnsafeUrl):
            parse_given(text, httpx.URL(giver))


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://x/o?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=a", True),
        ("https://x/o?x-goog-expires=60&x-goog-signature=a", True),
        ("https://x/o?Expires=1&Signature=a", True),
        ("https://dash.empirical.run/api/resources/5/content?x=1", True),
        ("https://dash.empirical.run/api/resources/5/content", False),
        ("https://dash.empirical.run/api/resources/5x/content?x=1", False),
        ("https://x/o?X-Amz-Signature=a", False),
        ("https://x/o?Expires=1", False),
        ("https://docs.google.com/d/1?usp=sharing", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_what_looks_signed(url: str, *, signed: bool) -> None:
    """A signature and an expiry, or the API's own content endpoint with a query, make a signed URL."""
    assert looks_signed(url) is signed


NEW_YEAR = timegm((2026, 1, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("query", "expiry"),
    [
        ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600", NEW_YEAR + 3600),
        ("x-amz-date=20260101T000000Z&x-amz-expires=0", NEW_YEAR),
        ("X-Amz-Date=20260101T000000Z", None),
        ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=-1", None),
        ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=9999999999", None),
        ("X-Amz-Date=20260101&X-Amz-Expires=60", None),
        ("X-Amz-Date=20261301T000000Z&X-Amz-Expires=60", None),
        ("Expires=1769949045", 1769949045),
        ("expires=3600", None),
        ("Expires=17699490451769", None),
        ("Expires=tomorrow", None),
        ("a=b", None),
        ("", None),
    ],
)
def test_declared_expiry(query: str, expiry: float | None) -> None:
    """The expiry is that of SigV4 or a Unix time, and None where the URL says nothing that can be read."""
    assert declared_expiry(f"https://x/o?{query}") == expiry


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://x.org/a/./b/../c//d/%2e/%2E%2E?X-Sig=a%2fb+c&=&d",
            b"/a/./b/../c//d/%2e/%2E%2E?X-Sig=a%2fb+c&=&d",
        ),
        ("https://x.org/a|b\"<>^`{}[]\\c?d=[e]'", b"/a|b\"<>^`{}[]\\c?d=[e]'"),
        ("https://x.org/100%?a=%&b=%zz", b"/100%?a=%&b=%zz"),
        ("https://x.org?sig=1", b"/?sig=1"),
        ("https://x.org", b"/"),
        ("https://x.org/a?b=c/../d?e#fragment", b"/a?b=c/../d?e"),
        ("HTTPS://X.ORG:443/A", b"/A"),
        ("https://x.org/a b\u00e4", b"/a%20b%C3%A4"),
    ],
)
def test_what_is_asked_for_is_what_was_signed(url: str, target: bytes) -> None:
    """Byte for byte, whatever the path holds; only what no request can hold is escaped."""
    assert exact_target(url) == target


@pytest.mark.parametrize("location", ["https://x.org/a/./b/../c", "//x.org/a/./b/../c", "/a/./b/../c"])
def test_a_redirect_to_what_was_signed(location: str) -> None:
    """A redirect to a signed URL keeps its path, too."""
    assert exact_target(redirected(BASE, location)) == b"/a/./b/../c"
