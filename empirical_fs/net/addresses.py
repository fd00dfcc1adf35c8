"""Which addresses a connection may be made to: names say nothing, and what they lead to is checked."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Permit = Callable[[str, Address], bool]
"""Whether a server that is asked by this scheme (`http`, `https`) may be at this address."""

_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # Linux takes 0.0.0.0 for this machine
_COMPATIBLE, _TRANSLATED = IPv6Network("::/96"), IPv6Network("64:ff9b::/96")
_LOW = 2**32 - 1


def is_here(address: Address) -> bool:
    """Whether it is this machine, in whatever form of IPv6 an address of IPv4 may be written."""
    plain = _without_disguise(address)
    return plain.is_loopback or plain.is_unspecified or (plain.version == 4 and plain in _THIS_NETWORK)  # noqa: PLR2004


def is_local(address: Address) -> bool:
    """Whether it is this machine, or link-local: of services that trust whoever is this near (RFC 3927)."""
    return is_here(address) or _without_disguise(address).is_link_local


def permits_all(scheme: str, address: Address) -> bool:
    """Where the user has named the server: https anywhere, and plain http to this machine, by any name."""
    return scheme == "https" or is_here(address)


def permits_proxy(_scheme: str, _address: Address) -> bool:
    """A proxy, which the user has named, may be anywhere."""
    return True


def permits_no_local(scheme: str, address: Address) -> bool:
    """Where a server on the network has named it: https, and neither this machine nor what is next to it."""
    return scheme == "https" and not is_local(address)


def _without_disguise(address: Address) -> Address:
    """The address of IPv4 that one of IPv6 stands for (RFC 4291, 3056, 6052), or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    number = int(address)
    if address in _TRANSLATED or (address in _COMPATIBLE and number > 1):
        return IPv4Address(number & _LOW)
    return address
