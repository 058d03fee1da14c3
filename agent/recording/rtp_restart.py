"""Whether a telephone that resumes a call has begun a new RTP stream: then its recorders restart.

Asterisk's recorder treats frames with lower numbers than the last one as late and drops them
(docs/decisions/0006-restart-recorder.md). Manager events do not describe RTP; the statistics of a
channel name the source (SSRC) of the incoming stream.
"""

import asyncio
import re
from contextlib import suppress
from typing import Final

from agent.ami.protocol import Ami
from agent.calls.call_state import Channel
from fonoteka.core.errors import AmiError

STATISTICS: Final = "CHANNEL(rtcp,all)"
POLL_EVERY_S: Final = 0.04
POLLS: Final = 50
_PART: Final = re.compile(r"(themssrc|rxcount)=(\d+)")


class RtpRestarts:
    """Remembers the RTP source of each telephone that holds a call."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._sources: dict[str, str] = {}

    async def held(self, channel: Channel) -> None:
        """Note the RTP source of a channel that holds, unless it has no RTP."""
        with suppress(AmiError):
            source, _ = await self._incoming(channel)
            self._sources[channel.uniqueid] = source

    async def has_restarted(self, channel: Channel) -> bool:
        """Return whether a channel that resumes sends from another source than before the hold.

        Waits for the first packets, at most two seconds.
        """
        before = self._sources.pop(channel.uniqueid, "")
        if not before:
            return False
        with suppress(AmiError):
            _, first = await self._incoming(channel)
            for _ in range(POLLS):
                source, packets = await self._incoming(channel)
                if source != before or packets > first:
                    return source != before
                await asyncio.sleep(POLL_EVERY_S)
        return False

    def forget(self, uniqueid: str) -> None:
        """Drop the source of a channel that has ended."""
        self._sources.pop(uniqueid, None)

    async def _incoming(self, channel: Channel) -> tuple[str, int]:
        """Return the source of a channel's incoming RTP and the number of packets received."""
        answer = await self._ami.action("Getvar", Channel=channel.name, Variable=STATISTICS)
        parts = dict(_PART.findall(answer.get("Value", "")))
        return parts.get("themssrc", ""), int(parts.get("rxcount", 0))
