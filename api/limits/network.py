"""The network of an address: what its owner can change at will counts as one."""

from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

_IPV6_PREFIX: Final = 64  # what a provider gives to one customer, at least


def network_of(address: str) -> str:
    """Return an IPv4 address itself, of an IPv6 address its /64; a text that is neither, itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed.packed, _IPV6_PREFIX), strict=False))
