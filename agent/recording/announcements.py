"""The notice («разговор записывается»): what the dialplan must know before it rings, mirrored into AstDB.

    fonoteka/notice_in/PJSIP/acme-152  = the sound a caller hears before 152 is rung
    fonoteka/notice_out/PJSIP/acme-152 = the sound that whoever 152 calls hears before the talk

The dialplan (asterisk_conf/extensions.d/fonoteka.conf) reads it there: no process per call, and it holds while the agent is away.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import structlog

from agent.ami.protocol import Ami
from agent.rules.recording_rules import decide
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import Direction
from fonoteka.core.domains import Domain, DomainSettings
from fonoteka.core.errors import AmiActionFailed, AmiError, AmiUnsafe

FAMILY: Final = "fonoteka"
_TREES: Final = ("notice_in", "notice_out")
_log = structlog.get_logger()


def wanted(settings: DomainSettings) -> dict[str, str]:
    """AstDB keys below `fonoteka` to sounds, for everybody whose talks are recorded by their setting.

    Somebody who records on demand has none: when it rings nobody knows whether they will ask for it.
    """
    return dict(pair for domain in settings.domains for pair in _of(domain))


def _of(domain: Domain) -> Iterator[tuple[str, str]]:
    for user in domain.users:
        for sound, tree, where in ((domain.notice_in, "notice_in", Direction.IN), (domain.notice_out, "notice_out", Direction.OUT)):
            if sound is not None and decide(user, where, called=where is Direction.IN).record:
                yield from ((f"{tree}/{endpoint}", sound) for endpoint in user.endpoints)


class AnnouncementMirror:
    """Keeps AstDB as the settings want it; `run()` in a task of its own."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._settings = DomainSettings(version=0)
        self._due = asyncio.Event()

    def settings_changed(self, settings: DomainSettings) -> None:
        """Other settings are in force."""
        self._settings = settings
        self._due.set()

    def link_up(self) -> None:
        """Asterisk is there (again): its AstDB may have been restored, or emptied, meanwhile."""
        self._due.set()

    async def run(self) -> None:
        """Mirror whenever something changed, until cancelled; what Asterisk did not take is tried again."""
        backoff = Backoff()
        wait_s: float | None = None
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), wait_s)
            self._due.clear()
            try:
                await self._mirror()
            except AmiError as error:
                wait_s = backoff.next_s()
                _log.warning("notices.not_mirrored", error=str(error), retry_in_s=round(wait_s, 1))
            else:
                backoff.reset()
                wait_s = None

    async def _mirror(self) -> None:
        if self._settings.version == 0:
            return  # not known yet: what an earlier run left holds
        target, there = wanted(self._settings), await self._there()
        gone = there.keys() - target.keys()
        fresh = {key: sound for key, sound in target.items() if there.get(key) != sound}
        for key in gone:
            with suppress(AmiActionFailed):  # somebody else has removed it meanwhile
                await self._ami.action("DBDel", Family=FAMILY, Key=key)
        for key, sound in fresh.items():
            try:
                await self._ami.action("DBPut", Family=FAMILY, Key=key, Val=sound)
            except (AmiActionFailed, AmiUnsafe) as error:
                _log.error("notices.refused_by_asterisk", key=key, error=str(error))
        if gone or fresh:
            _log.info("notices.mirrored", written=len(fresh), removed=len(gone))

    async def _there(self) -> dict[str, str]:
        prefix = f"/{FAMILY}/"
        rows = [row for tree in _TREES for row in await self._ami.listing("DBGetTree", Family=FAMILY, Key=tree)]
        return {row["Key"].removeprefix(prefix): row.get("Val", "") for row in rows if row.get("Key", "").startswith(prefix)}
