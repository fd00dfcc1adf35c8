"""Detects answers given in place of a server: by a firewall, a CDN, a proxy, a sign-in page. Without I/O."""

from collections.abc import Mapping

from empirical_fs.errors import Trouble
from empirical_fs.net.retry import is_busy

_PROXY_WANTS_MORE, _FOR_LEGAL_REASONS, _SIGN_IN = 407, 451, 511
_OF_CDNS = range(520, 531)
"""Cloudflare's statuses for failures of the server behind it."""
NEVER_OF_THE_SERVER = (_PROXY_WANTS_MORE, _FOR_LEGAL_REASONS)
"""Statuses of a proxy (RFC 9110, 15.5.8) and of a censor (RFC 7725); from 500 on a server is busy."""
_HTML = "text/html"


def is_from_intermediary(headers: Mapping[str, str]) -> bool:
    """Whether the head of an answer shows that something in between gave it: HTML is for browsers."""
    return "cf-mitigated" in headers or headers.get("content-type", "").strip().lower().startswith(_HTML)


def trouble_of(host: str, status: int) -> Trouble:
    """Describes an answer with this status that came in place of `host`'s."""
    if status == _SIGN_IN:
        return Trouble(f"the network wants a sign-in (HTTP {status})", "open any page in a browser")
    if status == _PROXY_WANTS_MORE:
        return Trouble(
            f"a proxy in front of {host} wants a user name and a password (HTTP {status})",
            "see the proxy variables",
        )
    if status in _OF_CDNS:
        return Trouble(f"the CDN in front of {host} cannot reach it (HTTP {status})", "try again in a while")
    if is_busy(status):
        return Trouble(f"{host} answered HTTP {status}")
    return Trouble(
        f"something in between answers for {host} (HTTP {status})",
        "look for a firewall, a proxy or a sign-in page, or ask who runs it",
    )
