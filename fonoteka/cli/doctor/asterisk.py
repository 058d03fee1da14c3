"""Check Asterisk over AMI, with the agent's account and only its rights."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agent.ami.client import AmiClient
from agent.calls.channel_snapshot import snapshot
from agent.calls.events import ChannelStarted
from fonoteka.cli.ami_connection import linked
from fonoteka.cli.doctor import account, away, claim, codes, endpoints, files, journal, kit
from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.doctor.needs import Use
from fonoteka.core.config import Configuration
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AmiActionFailed, FonotekaError

RENEW_BEFORE: Final = timedelta(days=14)


async def check(configuration: Configuration, source: Path | None, settings: DomainSettings | None) -> AsyncIterator[Finding]:
    """Check the PBX. Without `settings` (no API) the checks that need them are unknown."""
    pbx = configuration.pbx
    logged_in = False
    try:
        async with linked(configuration, source) as client:
            logged_in = True
            over = " over TLS" if pbx.ami_tls else ""
            yield Finding(part="asterisk", check="login over AMI", ok=True, detail=f"{pbx.ami_user}@{pbx.ami}{over}")
            if client.certificate_ends_at is not None:
                yield certificate(client.certificate_ends_at, datetime.now(UTC))
            async for finding in _asked(client, configuration, settings):
                yield finding
    except FonotekaError as error:
        check = "answers" if logged_in else "login over AMI"
        mend = f"does manager.conf bind {pbx.ami}, with enabled = yes and the account of asterisk_conf/manager.d/fonoteka.conf?"
        yield Finding(part="asterisk", check=check, ok=False, detail=str(error), mend=mend)


def certificate(ends_at: datetime, now: datetime) -> Finding:
    """Find whether Asterisk's certificate for AMI is valid for another two weeks."""
    return Finding(
        part="asterisk",
        check="certificate of AMI",
        ok=ends_at - now > RENEW_BEFORE,
        detail=f"valid until {ends_at:%Y-%m-%d %H:%M} UTC",
        mend="renew tlscertfile of manager.conf, then asterisk -rx 'manager reload': the agent stays away after its end",
    )


async def _asked(client: AmiClient, configuration: Configuration, settings: DomainSettings | None) -> AsyncIterator[Finding]:
    yield (version := await _version(client))
    async for finding in account.check(client):
        yield finding
    yield files.spool_shared(configuration)
    for finding in await claim.check(client, configuration.pbx.spool):
        yield finding
    use = Use.of(configuration, settings)
    pbx = kit.Pbx(client=client, configuration=configuration)
    async for finding in kit.check(pbx, use):
        yield finding
    if configuration.pbx.cel_journal is not None:
        yield journal.check(configuration.pbx.cel_journal, await _newest_channel_at(client))
        for finding in journal.cost(version.detail):
            yield finding
    if use.notices:
        for finding in files.sounds(configuration, await _data_folder(client), use.notice_in | use.notice_out):
            yield finding
    if use.away:
        for finding in await away.check(pbx):
            yield finding
    async for finding in _telephones(pbx, settings, use):
        yield finding


async def _telephones(pbx: kit.Pbx, settings: DomainSettings | None, use: Use) -> AsyncIterator[Finding]:
    check = "endpoints of users"
    if settings is None:
        yield Finding(part=kit.PART, check=check, ok=None, detail=kit.UNKNOWN, mend="fix the connection to the API first")
        return
    try:
        there = await endpoints.on_pbx(pbx.client)
    except AmiActionFailed as error:
        detail = f"this account may not ask ({error})"
        yield Finding(part=kit.PART, check=check, ok=None, detail=detail, mend="asterisk -rx 'pjsip show endpoints'")
        return
    for finding in endpoints.check(settings, pbx.configuration.pbx.trunks, there):
        yield finding
    if use.codes:
        for finding in await codes.check(pbx, settings, there):
            yield finding


async def _version(client: AmiClient) -> Finding:
    try:
        version = (await client.action("CoreSettings")).get("AsteriskVersion", "?")
    except AmiActionFailed as error:
        return Finding(part="asterisk", check="version", ok=None, detail=str(error), mend="asterisk -V")
    return Finding(part="asterisk", check="version", ok=True, detail=version)


async def _newest_channel_at(client: AmiClient) -> datetime | None:
    """Return when the newest living channel began; None without one, or if it may not be asked."""
    try:
        listed = await snapshot(client, datetime.now(UTC))
    except AmiActionFailed:
        return None
    return max((event.at for event in listed if isinstance(event, ChannelStarted)), default=None)


async def _data_folder(client: AmiClient) -> str | None:
    """Return the data folder of Asterisk; None if the account may not ask."""
    try:
        return (await client.action("Getvar", Variable="ASTDATADIR")).get("Value")
    except AmiActionFailed:
        return None
