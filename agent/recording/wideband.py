"""Whether a recording is worth 16 kHz: whether somebody in the talk can speak a codec that carries more than a telephone's 3.4 kHz.

Asked while it rings, before the callee has chosen a codec, so it is what they can talk, not what they will
(docs/decisions/0011-wideband.md).
"""

import re
from typing import Final

from agent.calls.call_state import Call, Channel
from agent.calls.dial_chain import ringer
from agent.calls.talk_groups import heard_by

# Asterisk's names (`core show codecs`) of what samples faster than 8 kHz.
_WIDE: Final = re.compile(r"g722|g719|amrwb|opus|siren(7|14)|speex(16|32)|silk(12|16|24)|slin(12|16|24|32|44|48|96|192)")
_FORMAT: Final = re.compile(r"[a-z0-9]+")


def is_wide(formats: str) -> bool:
    """Whether any of a channel's formats, as CHANNEL(audionativeformat) lists them, is wideband: `(alaw|ulaw|g722)`."""
    return any(_WIDE.fullmatch(word) for word in _FORMAT.findall(formats))


def parties(call: Call, channel: Channel) -> tuple[str, ...]:
    """The names of the channels that talk in a recording of this one: itself, and whom it hears, or else rings or is rung by."""
    others: list[Channel | None] = [call.channels.get(uniqueid) for uniqueid in heard_by(call, channel.uniqueid)]
    if not others:
        ringing = [(ringer(call, dial), call.channels.get(dial.callee)) for dial in call.dials if not dial.status]
        others = [one for both in ringing if channel in both for one in both]
    there = (one for one in (channel, *others) if one is not None and one.ended_at is None and not one.is_local)
    return tuple(dict.fromkeys(one.name for one in there))
