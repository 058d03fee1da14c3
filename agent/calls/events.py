"""What happens on a PBX, as the agent understands it: one small value per event (`agent.calls.event_reader` makes them).

Only events of channels, dials and bridges are used. Asterisk sends all of them on one topic, in order; CEL comes by
another road and can overtake them (docs/decisions/0002-native-events.md).
"""

from dataclasses import dataclass
from datetime import datetime

from fonoteka.core.call_report import Decision, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """`at` is when Asterisk sent it; `linkedid` names the call as Asterisk then saw it."""

    at: datetime
    linkedid: str

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels (uniqueids) it speaks of, the surest first."""
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelEvent(Event):
    """Something that happened to one channel."""

    uniqueid: str

    @property
    def channels(self) -> tuple[str, ...]:
        """That channel."""
        return (self.uniqueid,)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingEvent(Event):
    """Something that happened to a recording, which is known by its segment's name."""

    segment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DialEvent(Event):
    """`caller` and `callee` are uniqueids; `caller` is empty for a call that Asterisk itself originates."""

    caller: str
    callee: str

    @property
    def channels(self) -> tuple[str, ...]:
        """Who rings, and who is rung."""
        return (self.caller, self.callee)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStarted(ChannelEvent):
    """A channel came to be. `exten` is what it dialled when it came from outside the PBX's own dialling, else `s` or empty."""

    name: str
    exten: str
    caller_num: str
    caller_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelEnded(ChannelEvent):
    """A channel is gone. `cause` is the Q.850 hangup cause, 0 if unknown."""

    cause: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DialBegan(DialEvent):
    """`caller` rings `callee`.

    `dialled` is what the channel driver was asked for; `exten` the extension of the dialplan at which the caller stands.
    """

    caller_num: str
    dialled: str
    exten: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DialEnded(DialEvent):
    """The ringing is over. `status` is Asterisk's DIALSTATUS; `forward` is where the callee sent the caller, or empty."""

    status: str
    forward: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeEntered(ChannelEvent):
    """A channel can now hear whoever else is in the bridge. In a `conference` those may be other calls' channels.

    `late`: it was found there; how long it has been there is unknown.
    """

    bridge: str
    conference: bool = False
    late: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeLeft(ChannelEvent):
    """A channel no longer hears the bridge."""

    bridge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Transferred(Event):
    """`transferer` handed the other party to `target` (what was dialled, or the other bridge's party)."""

    transferer: str
    target: str
    attended: bool

    @property
    def channels(self) -> tuple[str, ...]:
        """Who handed it over."""
        return (self.transferer,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held(ChannelEvent):
    """`uniqueid`'s party put the other on hold, or (`on` false) took the talk up again."""

    on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked(ChannelEvent):
    """`uniqueid` waits at parking place `space`, left there by whoever is at the endpoint `parker` (empty: unknown)."""

    parker: str
    space: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched(ChannelEvent):
    """`by` (a channel that began a call of its own) takes `uniqueid` from parking place `space`."""

    by: str
    space: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PickedUp(ChannelEvent):
    """`by` (a channel that began a call of its own) answers in the place of the ringing `uniqueid`.

    Asterisk exchanges the two: what hung on the ringing channel, a recorder too, is then `by`'s; the ringing one ends.
    """

    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingDecided(ChannelEvent):
    """It was decided for one channel of one user. `segment` is the recording's name, empty when it is not recorded.

    `asked`: because somebody asked for it; `paused`: it begins paused.
    """

    user: str
    decision: Decision
    segment: str
    asked: bool = False
    paused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TalkMissed(ChannelEvent):
    """A recording begins for `user` in a talk that went on before, unrecorded. `segment` names what is missing."""

    user: str
    segment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingHandedOver(RecordingEvent):
    """A recorder came with a ringing channel to `user`, who picked it up and is recorded, too."""

    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingUnwanted(RecordingEvent):
    """A recorder came with a ringing channel to somebody by whose setting there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingLost(RecordingEvent):
    """A recording that was asked for will not come."""

    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingEnding(RecordingEvent):
    """Asterisk was told to stop a recording; its legs are about to be closed.

    `reason` tells why what follows is missing; None where it is not (another recorder takes over, or nothing had to be recorded).
    """

    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingMuted(RecordingEvent):
    """A recording was paused (`muted`), or resumed."""

    muted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingClosed(RecordingEvent):
    """Both legs of a recording are complete and on their way to the mixer.

    `started_at` is when its talk began, told by the legs themselves where nobody was listening.
    """

    started_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingDone(RecordingEvent):
    """Nothing is left to do for a recording: the store has it, or there was no talk to record."""
