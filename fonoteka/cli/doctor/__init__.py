"""`fonoteka doctor`: goes the way of a call and checks every station it can reach; says what is wrong and how to mend it."""

from pathlib import Path

from fonoteka.cli.doctor import api, asterisk, mail, mixer, spool
from fonoteka.cli.doctor.finding import Finding, in_order, shown, shown_as_json
from fonoteka.core.config import Configuration
from fonoteka.core.domains import DomainSettings

__all__ = ["Finding", "examine", "in_order", "shown", "shown_as_json"]


async def examine(configuration: Configuration, source: Path | None) -> list[Finding]:
    """All checks, in the order of a call's way: Asterisk, spool, mixer, API (asked first, since it knows the users); then mail."""
    told = [item async for item in api.check(configuration)]
    settings = next((item for item in told if isinstance(item, DomainSettings)), None)
    return [
        Finding(part="configuration", check="readable", ok=True, detail=str(source or "defaults and environment")),
        *[finding async for finding in asterisk.check(configuration, source, settings)],
        *spool.check(configuration),
        *mixer.check(configuration),
        *(item for item in told if isinstance(item, Finding)),
        *[finding async for finding in mail.check(configuration)],
    ]
