"""The URLs that an API or a store may answer, fuzzed: an unsafe one is refused, and never told."""

import math
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from empirical_fs.api.url_cache import lifetime
from empirical_fs.errors import UnsafeUrl
from empirical_fs.net.urls import declared_expiry, looks_signed, parse_fetchable, parse_given, redirected
from tests.support.hostile import outcome

HOSTS = ["x.org", "localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1", "0x7f.1", "2130706433"]
HOSTS += ["0.0.0.0"]
HOSTS += ["[::1]", "[::1%25lo]", "[::1%lo]", "[::ffff:127.0.0.1]", "[::]", "[fe80::1]", "[v1.x]", "["]
HOSTS += ["[::1", "::1"]
HOSTS += ["xn--", "xn--a", "xn--localhost-", "xn--127-", "a.xn--80ak6aa92e", "xn--xn--", "xn--%0d%0a"]
HOSTS += ["XN--A", "é.org"]
HOSTS += ["\uff11\uff12\uff17.0.0.1", "ⓛocalhost", "localhost。", "x%0d%0a.org", "x%00.org"]
HOSTS += ["127.0.0.1%2f.x.org"]
HOSTS += ["a" * 300]
HOSTS += ["169.254.169.254", "localhost\\@x.org", "x.org#@localhost", "x.org?@localhost", "\ud800", "", "."]
HOSTS += ["..", " "]
SCHEMES = ["https", "http", "HTTPS", "hTtP", "file", "ftp", "javascript", "ws", "", "https ", "\thttps"]
SCHEMES += ["ht\ntps"]
USERS = ["", "", "", "@", "user:secret@", "secret@", "%40@", ":@", "localhost@", "a@b@"]
PORTS = ["", "", "", ":", ":443", ":0", ":99999", ":-1", ":x", ":80:80", ":" + "9" * 5000, ":8_0", ":+80"]
PORTS += [":\u0661"]
TAILS = ["", "/", "/secret?sig=secret&Expires=1769949045", "/\r\nHost: secret", "/\x00secret"]
TAILS += ["/%0d%0asecret", "/\x85"]
TAILS += ["?X-Amz-Date=20260101T000000Z&X-Amz-Expires=99999999"]
TAILS += ["?X-Amz-Date=00010101T000000Z&X-Amz-Expires=0"]
TAILS += ["?x-amz-date=99991231T235961Z&x-amz-expires=9"]
TAILS += ["?X-Amz-Date=\u0662\u0660260101T000000Z&X-Amz-Expires=60"]
TAILS += ["?expires=\u0661" + "0" * 9, "?Expires=99999999999&Expires=-1", "/api/resources/7/content?a"]
TAILS += ["/\ud800secret"]
TAILS += ["?" + "&" * 3000 + "sig=1", "#secret", "/..//../secret", "\\secret", "/" + "secret" * 12_000]
URLS = st.builds(
    "{}{}{}{}{}{}".format,
    *map(
        st.sampled_from,
        (SCHEMES[:2] * 4 + SCHEMES, ["://"] * 4 + [":", "//", ":///"], USERS, HOSTS, PORTS, TAILS),
    ),
)
SPOILT_URLS = URLS | st.builds(
    lambda url, at, junk: url[: at % (len(url) + 1)] + junk + url[at % (len(url) + 1) :],
    URLS,
    st.integers(0, 60),
    st.text(st.characters(), max_size=2),
)
FROM_THE_NETWORK = httpx.URL("https://store.example.org/a/secret?sig=secret")
FROM_HERE = httpx.URL("http://127.0.0.1:1/a/secret?sig=secret")


def is_here(url: httpx.URL) -> bool:
    """Whether the very host that is connected to is this machine's, by RFC 6761 or by its address."""
    host = url.raw_host.decode("ascii").strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse_redirect(base: httpx.URL, location: str) -> httpx.URL:
    return parse_given(redirected(base, location), base)


PARSERS = [parse_fetchable, partial(parse_redirect, FROM_THE_NETWORK), partial(parse_redirect, FROM_HERE)]


@settings(max_examples=200)
@given(SPOILT_URLS, st.sampled_from(PARSERS))
@example("https://xn--/secret", parse_fetchable)
@example("https://xn--a/secret", PARSERS[1])
@example("http://xn--localhost-/", PARSERS[2])
def test_any_url(text: str, parse: Callable[[str], httpx.URL]) -> None:
    """A URL is unsafe, and not told, or one whose every part may go into a request as it is."""
    url = outcome(lambda: parse(text), UnsafeUrl)
    if isinstance(url, UnsafeUrl):
        assert "secret" not in str(url)
        assert url.__cause__ is None
        assert url.__suppress_context__ or url.__context__ is None
        return
    assert url.scheme == "https" or (url.scheme == "http" and is_here(url))
    assert not url.userinfo
    assert b"@" not in url.netloc
    assert 0 < (url.port or 443) < 2**16
    assert url.host
    for part in (str(url).encode(), url.raw_path, url.netloc, url.raw_host):
        assert part.isascii()
        assert part.decode().isprintable()
        assert b" " not in part
    if parse is PARSERS[1]:
        assert not is_here(url)
    assert parse_fetchable(str(url)) == url


@settings(max_examples=120)
@given(SPOILT_URLS, st.sampled_from([0.0, 1769949045.0, -6e10, 2.6e11]))
def test_any_life(text: str, signer_time: float) -> None:
    """Whatever a URL declares, it is kept for a time between none and the longest, or for the longest."""
    assert isinstance(looks_signed(text), bool)
    expiry = declared_expiry(text)
    assert expiry is None or math.isfinite(expiry)
    life = lifetime(text, signer_time, 3000)
    assert 0 <= life <= 3000
    assert expiry is not None or life == 3000
    assert expiry is None or life <= max(expiry - signer_time, 0)
