"""Group addresses that one client may have."""

from ipaddress import IPv6Address, ip_address, ip_network


def client_network(address: str) -> str:
    """Return the /64 of an IPv6 address, which one client has; an IPv4 address unchanged."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # no address, such as a client of a Unix socket
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
