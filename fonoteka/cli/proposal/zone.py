"""The time zone of this machine."""

from pathlib import Path

_LINK = Path("/etc/localtime")


def zone_here(link: Path = _LINK) -> str:
    """As /etc/localtime says (localtime(5)), such as `Asia/Krasnoyarsk`; `UTC` if it does not say."""
    _, found, zone = str(link.resolve()).partition("/zoneinfo/")
    return zone if found else "UTC"
