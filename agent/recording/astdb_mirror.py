"""Mirror what the dialplan must know of the settings into AstDB, below the family `fonoteka`.

Asterisk keeps AstDB on its disk, so that the dialplan knows it while the agent is away.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

import structlog

from agent.ami.protocol import Ami
from fonoteka.core.backoff import Backoff
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AmiActionFailed, AmiError, AmiUnsafe

FAMILY: Final = "fonoteka"
_log = structlog.get_logger()


class AstDbMirror:
    """Keeps `trees` of AstDB equal to the settings; `run()` needs a task of its own.

    `keys` returns the keys below `fonoteka`, with their values, for settings.
    """

    def __init__(self, ami: Ami, trees: Collection[str], keys: Callable[[DomainSettings], dict[str, str]]) -> None:
        self._ami, self._trees, self._keys = ami, trees, keys
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
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.mirror()
            except AmiError as error:
                wait_s = backoff.next_s()
                _log.warning("astdb.not_mirrored", error=str(error), retry_in_s=round(wait_s, 1))
            else:
                backoff.reset()
                wait_s = None

    async def mirror(self) -> None:
        """Write the keys that differ and remove stale ones, once. Raises AmiError."""
        if self._settings.version == 0:
            return  # no settings yet: the keys of an earlier run stay in force
        target, present = self._keys(self._settings), await self._present()
        stale = present.keys() - target.keys()
        new = {key: value for key, value in target.items() if present.get(key) != value}
        for key in stale:
            with suppress(AmiActionFailed):  # the key was removed meanwhile
                await self._ami.action("DBDel", Family=FAMILY, Key=key)
        for key, value in new.items():
            try:
                await self._ami.action("DBPut", Family=FAMILY, Key=key, Val=value)
            except (AmiActionFailed, AmiUnsafe) as error:
                _log.error("astdb.refused_by_asterisk", key=key, error=str(error))
        if stale or new:
            _log.info("astdb.mirrored", written=len(new), removed=len(stale))

    async def _present(self) -> dict[str, str]:
        prefix = f"/{FAMILY}/"
        rows = [row for tree in self._trees for row in await self._ami.listing("DBGetTree", Family=FAMILY, Key=tree)]
        return {row["Key"].removeprefix(prefix): row.get("Val", "") for row in rows if row.get("Key", "").startswith(prefix)}
