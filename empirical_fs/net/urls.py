"""What a URL itself shows: whether it may be fetched, whether it is signed, when it expires."""

import re
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from socket import inet_aton
from urllib.parse import parse_qs, quote

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
"""The regular expression of RFC 3986, appendix B, as httpx uses it."""
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_ALL_VISIBLE = re.compile(r"[\x21-\x7e]*")
_AMZ_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
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
    """Parse a URL that may be fetched: https, or http to this machine, and without a user name.

    Raises:
        UnsafeUrl: it is not such a URL; the message does not contain the URL.
    """
    try:
        url = httpx.URL(text)
        host = url.host  # httpx decodes `xn--` labels here, and raises if they are not valid
    except (httpx.InvalidURL, UnicodeError, ValueError):
        # The parser's message may quote the URL with its signature.
        raise UnsafeUrl("a URL that cannot be parsed") from None
    # Port 0 is not valid: connecting code would take it as "no port given".
    if not host or url.userinfo or not 0 < (1 if url.port is None else url.port) <= _PORT_MAX:
        raise UnsafeUrl("a URL without a host, with a user name or an impossible port")
    if url.scheme == "https" or (url.scheme == "http" and is_loopback(url)):
        return url
    raise UnsafeUrl("a URL that is neither https nor http to this machine")


def parse_given(text: str, giver: httpx.URL) -> httpx.URL:
    """Parse a URL that the server of `giver` gave us, and that may be fetched.

    Beyond the rules of `parse_fetchable`, only a server on this machine may send us to this machine or to
    link-local addresses: a server on the network must not make us send requests to the user's own services.
    The addresses of a name are checked when connecting (addresses.py).

    Raises:
        UnsafeUrl: it is not such a URL.
    """
    url = parse_fetchable(text)
    if _may_be_this_machine(url.host) and not is_loopback(giver):
        raise UnsafeUrl("a URL on this machine, from a server that is not on it")
    return url


def redirected(base: httpx.URL, location: str) -> str:
    """The URL to which a redirect from `base` leads; an absolute one is not changed, as it may be signed.

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
    """The request target of a URL, byte for byte as it was signed: its path and query.

    httpx removes `/./` and `/../` and escapes some characters differently, which makes a signature invalid.
    Characters that a request line cannot hold (RFC 9112, 3) are escaped.

    Raises:
        UnsafeUrl: it cannot be parsed.
    """
    match = _PARTS.match(text)
    if match is None:
        raise UnsafeUrl("a URL that cannot be parsed")
    target = match["target"]
    if not target.startswith("/"):
        target = f"/{target}"
    if _ALL_VISIBLE.fullmatch(target):
        return target.encode("ascii")
    try:
        return quote(target, safe=_VISIBLE).encode("ascii")
    except UnicodeError:
        raise UnsafeUrl("a URL that cannot be parsed") from None


def _may_be_this_machine(host: str) -> bool:
    """Whether a resolver could resolve `host` to this machine or a link-local address, however written."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # inet_aton also accepts the old spellings: 127.1, 0x7f.1, 2130706433.
        address = ip_address(host) if ":" in host else ip_address(inet_aton(host))
    except (ValueError, OSError):
        return False
    return is_local(address)


def looks_signed(text: str) -> bool:
    """Whether this is a signed download URL, and not the address of a page.

    A URL counts as signed if it is the content endpoint of the Empirical API with a query string, or if its
    query has both a signature and an expiry (AWS SigV4, R2, GCS and common home-made schemes). This
    distinguishes an upload of unknown size from a link to an external page, which must never be fetched.
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
    """When a signed URL expires, in seconds since the epoch on the signer's clock.

    Read from `X-Amz-Date` + `X-Amz-Expires` (AWS SigV4) or an `expires` in Unix seconds; None without them.
    """
    try:
        # Not httpx.URL: of many small files each has a URL of its own, and its parser takes long.
        query = parse_qs(text.partition("#")[0].partition("?")[2], keep_blank_values=True)
        params = {name.lower(): values[0] for name, values in query.items()}
        if "x-amz-date" in params:
            signed_at, life = params["x-amz-date"], params.get("x-amz-expires", "")
            if not (_AMZ_DATE.fullmatch(signed_at) and _SECONDS.fullmatch(life)):
                return None
            return datetime.fromisoformat(signed_at).timestamp() + int(life)
    except ValueError:
        return None
    expires = params.get("expires", "")
    return float(expires) if _UNIX_SECONDS.fullmatch(expires) else None
