"""What the dialplan must know to record while the agent is away, as keys of AstDB.

    fonoteka/away_in/PJSIP/acme-152  = MixMonitor's options, if calls to this telephone are recorded
    fonoteka/away_out/PJSIP/acme-152 = the same, if calls from this telephone are recorded
    fonoteka/away/folder             = the folder for the legs, as Asterisk sees it
    fonoteka/heartbeat/at            = when the agent last wrote (seconds since 1970)

The dialplan (asterisk_conf/extensions.d/fonoteka-away.conf) starts a recorder if the heartbeat is
older than ten seconds (docs/decisions/0032-away.md).
"""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final

import structlog

from agent.ami.protocol import Ami
from agent.recording.astdb_mirror import FAMILY
from agent.recording.mixmonitor import recorder_options
from agent.rules.recording_rules import decide
from fonoteka.core.call_report import Direction
from fonoteka.core.domains import Domain, DomainSettings
from fonoteka.core.errors import AmiError

FOLDER: Final = "away"
IN, OUT = "in", "out"
TREES: Final = (f"away_{IN}", f"away_{OUT}", "away")
# A tree of its own: the mirror would remove the key from a tree of the settings.
HEARTBEAT: Final = "heartbeat"
_KEY: Final = f"{HEARTBEAT}/at"
HEARTBEAT_EVERY_S: Final = 3.0
STOP_WITHIN_S: Final = 1.0
STALE_AFTER_S: Final = 10.0  # the limit in the dialplan
# A heartbeat older than this may be too old before the next one.
FRESH_FOR_S: Final = 8.0
_log = structlog.get_logger()


def away_keys(settings: DomainSettings, spool: PurePosixPath) -> dict[str, str]:
    """Return the keys below `fonoteka`; `spool` is the spool as Asterisk sees it.

    A user who records on demand has no key: the request could reach nobody.
    """
    keys = dict(pair for domain in settings.domains for pair in _keys_of(domain))
    return {"away/folder": str(spool / FOLDER), **keys} if keys else {}


def _keys_of(domain: Domain) -> Iterator[tuple[str, str]]:
    options = recorder_options(domain.beep_every_s)
    for user in domain.users:
        for way, direction in ((IN, Direction.IN), (OUT, Direction.OUT)):
            if decide(user, direction, called=way == IN).record:
                yield from ((f"away_{way}/{endpoint}", options) for endpoint in user.endpoints)


class Heartbeat:
    """Writes the time into AstDB, to show that the agent records."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._confirmed_at = -FRESH_FOR_S
        self._stopped = False

    @property
    def fresh(self) -> bool:
        """Whether the dialplan starts no recorder now."""
        return time.monotonic() - self._confirmed_at < FRESH_FOR_S

    def doubt(self) -> None:
        """Let `fresh` be false until the next beat: the clock has jumped."""
        self._confirmed_at = -math.inf

    async def stop(self) -> None:
        """Remove the time, so that the dialplan records from now on: the agent ends."""
        self._stopped = True
        with suppress(AmiError):
            await self._ami.action("DBDel", STOP_WITHIN_S, Family=FAMILY, Key=_KEY)

    async def beat(self) -> None:
        """Write the time once; a failure is logged. Then the dialplan records beside the agent.

        Nothing is written after `stop`: the dialplan would wait ten seconds for this agent.
        """
        if self._stopped:
            return
        at = time.monotonic()
        try:
            await self._ami.action("DBPut", HEARTBEAT_EVERY_S, Family=FAMILY, Key=_KEY, Val=str(int(time.time())))
        except AmiError as error:
            _log.warning("heartbeat.not_written", error=str(error))
        else:
            self._confirmed_at = at
