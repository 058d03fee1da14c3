"""Check `agent.api`: the token and the recordings must not travel in clear."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fonoteka.core.config import AgentSection


def api_address_problem(section: AgentSection) -> str | None:
    """Return what is wrong with `agent.api`, in one line; None if nothing is."""
    try:
        parts = urlsplit(section.api)
        scheme, host = parts.scheme, parts.hostname
        _ = parts.port
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https") or not host:
        return f"agent.api = {section.api!r}: must be https:// and a host, for example https://calls.example.com"
    if scheme == "https" or _is_loopback(host) or section.allow_plain_http:
        return None
    return (
        f"agent.api = {section.api!r}: the token and the recordings would travel in clear to another machine; "
        "use https://, or set agent.allow_plain_http = true if nobody else can read that network"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
