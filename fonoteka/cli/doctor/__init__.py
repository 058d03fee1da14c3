"""`fonoteka doctor`: check every part along the path of a call and say how to fix problems."""

from pathlib import Path

from fonoteka.cli.doctor import api, asterisk, bucket, disks, keys, mail, mixer, retention, spool
from fonoteka.cli.doctor.finding import Finding, in_order, to_json, to_text
from fonoteka.core.config import Configuration
from fonoteka.core.domains import DomainSettings

__all__ = ["Finding", "examine", "in_order", "to_json", "to_text"]


async def examine(configuration: Configuration, source: Path | None) -> list[Finding]:
    """Run all checks in the order of a call's path: Asterisk, spool, mixer, API, store; then mail.

    The API is asked first, as it has the settings of the domains.
    """
    answers = [answer async for answer in api.check(configuration)]
    settings = next((answer for answer in answers if isinstance(answer, DomainSettings)), None)
    return [
        Finding(part="configuration", check="readable", ok=True, detail=str(source or "defaults and environment")),
        *[finding async for finding in asterisk.check(configuration, source, settings)],
        *spool.check(configuration),
        *disks.check(configuration),
        *mixer.check(configuration),
        *(answer for answer in answers if isinstance(answer, Finding)),
        *[finding async for finding in bucket.check(configuration)],
        *[finding async for finding in keys.check(configuration)],
        *[finding async for finding in retention.check(configuration)],
        *[finding async for finding in mail.check(configuration)],
    ]
