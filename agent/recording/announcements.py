"""The announcement of a recording («разговор записывается»), mirrored into AstDB for the dialplan.

    fonoteka/notice_in/PJSIP/acme-152  = the sound for a caller, before 152 is rung
    fonoteka/notice_out/PJSIP/acme-152 = the sound for a party that 152 calls, before the talk

The dialplan (asterisk_conf/extensions.d/fonoteka.conf) reads these keys: it starts no process for a
call, and announcements work while the agent is down.
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


def announcement_keys(settings: DomainSettings) -> dict[str, str]:
    """Return AstDB keys below `fonoteka` with their sounds, for users recorded by their setting.

    A user recorded on demand has no key: while the call rings, no request can be known.
    """
    return dict(pair for domain in settings.domains for pair in _keys_of(domain))


def _keys_of(domain: Domain) -> Iterator[tuple[str, str]]:
    sounds = ((domain.notice_in, "notice_in", Direction.IN), (domain.notice_out, "notice_out", Direction.OUT))
    for user in domain.users:
        for sound, tree, direction in sounds:
            if sound is not None and decide(user, direction, called=direction is Direction.IN).record:
                yield from ((f"{tree}/{endpoint}", sound) for endpoint in user.endpoints)


class AnnouncementMirror:
    """Keeps AstDB equal to the settings; `run()` needs a task of its own."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._settings = DomainSettings(version=0)
        self._changed = asyncio.Event()

    def settings_changed(self, settings: DomainSettings) -> None:
        """Take new settings."""
        self._settings = settings
        self._changed.set()

    def link_up(self) -> None:
        """Compare after a new connection: AstDB may have been restored or emptied meanwhile."""
        self._changed.set()

    async def run(self) -> None:
        """Mirror after each change until cancelled; repeat if Asterisk does not answer."""
        backoff = Backoff()
        wait_s: float | None = None
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait_s)
            self._changed.clear()
            try:
                await self.mirror()
            except AmiError as error:
                wait_s = backoff.next_s()
                _log.warning("announcements.not_mirrored", error=str(error), retry_in_s=round(wait_s, 1))
            else:
                backoff.reset()
                wait_s = None

    async def mirror(self) -> None:
        """Write the keys that differ and remove stale ones, once. Raises AmiError."""
        if self._settings.version == 0:
            return  # no settings yet: the keys of an earlier run stay in force
        target, present = announcement_keys(self._settings), await self._present()
        stale = present.keys() - target.keys()
        new = {key: sound for key, sound in target.items() if present.get(key) != sound}
        for key in stale:
            with suppress(AmiActionFailed):  # the key was removed meanwhile
                await self._ami.action("DBDel", Family=FAMILY, Key=key)
        for key, sound in new.items():
            try:
                await self._ami.action("DBPut", Family=FAMILY, Key=key, Val=sound)
            except (AmiActionFailed, AmiUnsafe) as error:
                _log.error("announcements.refused_by_asterisk", key=key, error=str(error))
        if stale or new:
            _log.info("announcements.mirrored", written=len(new), removed=len(stale))

    async def _present(self) -> dict[str, str]:
        prefix = f"/{FAMILY}/"
        rows = [row for tree in _TREES for row in await self._ami.listing("DBGetTree", Family=FAMILY, Key=tree)]
        return {row["Key"].removeprefix(prefix): row.get("Val", "") for row in rows if row.get("Key", "").startswith(prefix)}
