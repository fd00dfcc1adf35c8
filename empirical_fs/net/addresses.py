"""Which IP addresses a connection may be made to: checked after the look-up, since a name proves nothing."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Permit = Callable[[str, Address], bool]
"""Whether a URL of this scheme (`http`, `https`) may be fetched from this address."""

_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # Linux connects 0.0.0.0 to this machine
_COMPATIBLE, _TRANSLATED = IPv6Network("::/96"), IPv6Network("64:ff9b::/96")
_LOW = 2**32 - 1


def is_here(address: Address) -> bool:
    """Whether `address` is this machine, also where an IPv6 address stands for an IPv4 one."""
    plain = _without_disguise(address)
    return plain.is_loopback or plain.is_unspecified or (plain.version == 4 and plain in _THIS_NETWORK)  # noqa: PLR2004


def is_local(address: Address) -> bool:
    """Whether `address` is this machine or link-local (RFC 3927): services there trust their neighbours."""
    return is_here(address) or _without_disguise(address).is_link_local


def permits_all(scheme: str, address: Address) -> bool:
    """The rule for servers that the user named: https to any address, plain http only to this machine."""
    return scheme == "https" or is_here(address)


def permits_proxy(_scheme: str, _address: Address) -> bool:
    """The rule for proxies: any address, since the user named the proxy."""
    return True


def permits_no_local(scheme: str, address: Address) -> bool:
    """The rule for servers that another server named: https only, neither this machine nor link-local."""
    return scheme == "https" and not is_local(address)


def _without_disguise(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (RFC 4291, 3056, 6052); else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    number = int(address)
    if address in _TRANSLATED or (address in _COMPATIBLE and number > 1):
        return IPv4Address(number & _LOW)
    return address
