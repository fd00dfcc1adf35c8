"""What a URL says of itself: whether it may be fetched, whether it is signed, when it expires."""

import re
from calendar import timegm
from functools import lru_cache
from ipaddress import ip_address
from socket import inet_aton
from time import strptime
from urllib.parse import quote

import httpx

from empirical_fs.errors import UnsafeUrl
from empirical_fs.net.addresses import is_local

_SIGNATURES = frozenset(
    {"x-amz-signature", "x-goog-signature", "signature", "sig", "hmac", "hash", "md5", "token"}
)
_EXPIRIES = frozenset({"x-amz-expires", "x-goog-expires", "expires", "expiry", "exp"})
_CONTENT_ENDPOINT = re.compile(r"/api/resources/[0-9]+/content")
_PORT_MAX = 2**16 - 1
_HOSTS_KNOWN = 64
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PARTS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(?P<target>[^#]*)", re.DOTALL)
"""RFC 3986, appendix B, as httpx has it."""
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_UNIX_SECONDS = re.compile(r"[0-9]{9,11}")
_SECONDS = re.compile(r"[0-9]{1,8}")


def is_loopback(url: httpx.URL) -> bool:
    """Whether the host of `url` is this machine, by name or by address."""
    return _is_loopback(url.host)


@lru_cache(_HOSTS_KNOWN)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_fetchable(text: str) -> httpx.URL:
    """`text` as a URL that may be fetched: https, or http to this machine, and no user name in it.

    Raises:
        UnsafeUrl: it is none; the message does not hold the URL.
    """
    try:
        url = httpx.URL(text)
        host = url.host  # where httpx decodes `xn--` labels, and fails if they are none
    except (httpx.InvalidURL, UnicodeError, ValueError):
        # The parser's own words may quote the URL, signature and all.
        raise UnsafeUrl("a URL that cannot be parsed") from None
    # Port 0 is none: whoever connects takes it for "not given".
    if not host or url.userinfo or not 0 < (1 if url.port is None else url.port) <= _PORT_MAX:
        raise UnsafeUrl("a URL without a host, with a user name or an impossible port")
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url)):
        return url
    raise UnsafeUrl("a URL that is neither https nor http to this machine")


def parse_given(text: str, giver: httpx.URL) -> httpx.URL:
    """`text`, which the server of `giver` gave us, as a URL that may be fetched.

    What `parse_fetchable` asks for, and besides: only this machine may send us to this machine or to
    link-local addresses, so that no server on the network can have us call on services of the user's own.
    What a name leads to is seen when it is connected to (addresses.py).

    Raises:
        UnsafeUrl: it is none.
    """
    url = parse_fetchable(text)
    if _may_be_this_machine(url.host) and not is_loopback(giver):
        raise UnsafeUrl("a URL on this machine, from a server that is not")
    return url


def redirected(base: httpx.URL, location: str) -> str:
    """The URL to which a redirect from `base` leads; an absolute one, which may be signed, as it was written.

    Raises:
        UnsafeUrl: it cannot be parsed.
    """
    if _ABSOLUTE.match(location):
        return location
    if location.startswith("//"):
        return f"{base.scheme}:{location}"
    if location.startswith("/"):
        return f"{base.scheme}://{base.netloc.decode('ascii')}{location}"
    try:
        return str(base.join(location))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise UnsafeUrl("a redirect that cannot be parsed") from None


def exact_target(text: str) -> bytes:
    """What a server is asked for by a URL, byte for byte as it was signed: its path with the query.

    httpx takes `/./` and `/../` out, and writes some characters in another way, after which a signature does
    not fit any more. What has no place in a request (RFC 9112, 3) is escaped.

    Raises:
        UnsafeUrl: it cannot be parsed.
    """
    match = _PARTS.match(text)
    if match is None:
        raise UnsafeUrl("a URL that cannot be parsed")
    target = match["target"]
    if not target.startswith("/"):
        target = f"/{target}"
    try:
        return quote(target, safe=_VISIBLE).encode("ascii")
    except UnicodeError:
        raise UnsafeUrl("a URL that cannot be parsed") from None


def _may_be_this_machine(host: str) -> bool:
    """Whether a resolver could take `host` for this machine or its link, in whatever disguise."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # The old spellings too: 127.1, 0x7f.1, 2130706433.
        address = ip_address(host) if ":" in host else ip_address(inet_aton(host))
    except (ValueError, OSError):
        return False
    return is_local(address)


def looks_signed(text: str) -> bool:
    """Whether this is a signed download URL rather than the address of a page.

    Signed are the content endpoint of the Empirical API with a query string, and every URL whose query
    has both a signature and an expiry (AWS SigV4, R2, GCS and the common home-made ones). It tells an
    upload of unknown size from a link to an external page, which must never be fetched.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return False
    names = {name.lower() for name in url.params}
    if _CONTENT_ENDPOINT.fullmatch(url.path):
        return bool(names)
    return bool(names & _SIGNATURES and names & _EXPIRIES)


def declared_expiry(text: str) -> float | None:
    """When a signed URL says that it expires, in seconds since the epoch on the signer's clock.

    `X-Amz-Date` + `X-Amz-Expires` of AWS SigV4, or an `expires` in Unix seconds; None if it says nothing.
    """
    try:
        params = {name.lower(): value for name, value in httpx.URL(text).params.items()}
        if "x-amz-date" in params:
            signed_at = timegm(strptime(params["x-amz-date"], "%Y%m%dT%H%M%SZ"))
            life = params.get("x-amz-expires", "")
            return float(signed_at + int(life)) if _SECONDS.fullmatch(life) else None
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return None
    expires = params.get("expires", "")
    return float(expires) if _UNIX_SECONDS.fullmatch(expires) else None
