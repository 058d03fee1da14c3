"""Whether a recording needs 16 kHz: whether a party uses a codec that carries more than 3.4 kHz.

The rate is chosen while the call rings, before the callee has chosen a codec. So the question is
which codecs a party can use, not which one it will use (docs/decisions/0011-wideband.md).
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from agent.ami.protocol import Ami
from agent.calls.call_state import Call, Channel, RecordingStage
from agent.calls.dial_chain import ringer
from agent.calls.talk_groups import heard_by
from agent.recording.leg_files import NARROWBAND_HZ, WIDEBAND_HZ
from fonoteka.core.errors import AmiError

GETVAR_TIMEOUT_S: Final = 1.0  # the start of a talk must not wait for an answer about quality only

# The names of the codecs (`core show codecs`) that sample faster than 8 kHz.
_WIDE: Final = re.compile(r"g722|g719|amrwb|opus|siren(7|14)|speex(16|32)|silk(12|16|24)|slin(12|16|24|32|44|48|96|192)")
_FORMAT: Final = re.compile(r"[a-z0-9]+")


def is_wide(formats: str) -> bool:
    """Return whether any of a channel's formats is wideband.

    `formats` is written as CHANNEL(audionativeformat) writes it: `(alaw|ulaw|g722)`.
    """
    return any(_WIDE.fullmatch(word) for word in _FORMAT.findall(formats))


def parties(call: Call, channel: Channel) -> tuple[str, ...]:
    """Return the names of the channels that talk in a recording of this channel.

    These are the channel itself and the channels that it hears. If it hears none, they are the
    channels that ring it or that it rings.
    """
    others: list[Channel | None] = [call.channels.get(uniqueid) for uniqueid in heard_by(call, channel.uniqueid)]
    if not others:
        ringing = [(ringer(call, dial), call.channels.get(dial.callee)) for dial in call.dials if not dial.status]
        others = [party for both in ringing if channel in both for party in both]
    living = (party for party in (channel, *others) if party is not None and party.ended_at is None and not party.is_local)
    return tuple(dict.fromkeys(party.name for party in living))


class CodecCheck:
    """Asks Asterisk for the codecs of channels, and remembers the rate at which a talk was held."""

    def __init__(self, ami: Ami) -> None:
        self._ami = ami
        self._talked_hz: dict[str, int] = {}
        self._narrow: set[str] = set()

    async def wideband(self, channels: Sequence[str]) -> bool | None:
        """Return whether any channel uses wideband (before the answer: can use it).

        None means that Asterisk did not answer for all of them. All channels are asked at the same
        time: during a talk, the audio before the last answer is lost.
        """
        answers = await asyncio.gather(*(self._formats(channel) for channel in channels))
        if any(is_wide(formats) for formats in answers if formats is not None):
            return True
        return None if None in answers else False

    async def check(self, call: Call) -> None:
        """Note the codecs of the talks that are recorded now.

        Recordings with narrowband legs are skipped: the answer would change nothing.
        """
        for recording in call.recordings:
            segment, channel = recording.segment, call.channels[recording.uniqueid]
            if recording.stage is not RecordingStage.RUNNING or segment in self._narrow or channel.conference:
                continue
            if not heard_by(call, recording.uniqueid):
                continue
            wide = await self.wideband(parties(call, channel))
            if wide is not None and self._talked_hz.get(segment) != WIDEBAND_HZ:
                self._talked_hz[segment] = WIDEBAND_HZ if wide else NARROWBAND_HZ

    def legs_are_narrow(self, segment: str) -> None:
        """Note that the legs of a recording are narrowband."""
        self._narrow.add(segment)

    def finish(self, segment: str) -> int | None:
        """Forget a recording. Returns the rate of its talk in Hz, None if it is not known."""
        self._narrow.discard(segment)
        return self._talked_hz.pop(segment, None)

    async def _formats(self, channel: str) -> str | None:
        try:
            answer = await self._ami.action("Getvar", GETVAR_TIMEOUT_S, Channel=channel, Variable="CHANNEL(audionativeformat)")
        except AmiError:  # the channel has ended, or Asterisk is busy
            return None
        return answer.get("Value", "")
