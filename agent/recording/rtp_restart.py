"""Whether a telephone that comes back from a hold has begun its RTP anew: then recorders that hear it must be renewed.

Asterisk's recorder takes frames numbered lower than the last for late ones and leaves them out (docs/decisions/0006-renewing.md).
Manager events say nothing of RTP; the statistics of a channel name the source (SSRC) of what comes in.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from agent.calls.call_state import Channel
from fonoteka.core.errors import AmiError

STATISTICS: Final = "CHANNEL(rtcp,all)"
LOOK_EVERY_S: Final = 0.04
LOOKS: Final = 50
_PART: Final = re.compile(r"(themssrc|rxcount)=(\d+)")


class Ami(Protocol):
    """What of the AMI client is needed here."""

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        """Send an action, return its answer; raises AmiError."""


class RtpRestarts:
    """Remembers the RTP source of telephones that hold."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._sources: dict[str, str] = {}

    async def held(self, channel: Channel) -> None:
        """It holds now. Where Asterisk cannot say what it sent so far (no RTP), nothing will be concluded."""
        with suppress(AmiError):
            source, _ = await self._heard(channel)
            self._sources[channel.uniqueid] = source

    async def has_restarted(self, channel: Channel) -> bool:
        """It talks again: wait for its first packets, at most two seconds; True if they come from another source than before."""
        before = self._sources.pop(channel.uniqueid, "")
        if not before:
            return False
        with suppress(AmiError):
            _, first = await self._heard(channel)
            for _ in range(LOOKS):
                source, packets = await self._heard(channel)
                if source != before or packets > first:
                    return source != before
                await asyncio.sleep(LOOK_EVERY_S)
        return False

    def forget(self, uniqueid: str) -> None:
        """The channel is gone."""
        self._sources.pop(uniqueid, None)

    async def _heard(self, channel: Channel) -> tuple[str, int]:
        """The source of a channel's incoming RTP, and how many packets of it have come."""
        answer = await self._ami.action("Getvar", Channel=channel.name, Variable=STATISTICS)
        found = dict(_PART.findall(answer.get("Value", "")))
        return found.get("themssrc", ""), int(found.get("rxcount", 0))
