"""The events of a call: one small value for each event of Asterisk or of a recording.

`agent.calls.event_reader` makes the events of Asterisk. Only events of channels, dials and bridges
are used: Asterisk sends them on one topic, in order, while CEL events take another path and can
arrive earlier (docs/decisions/0002-native-events.md).
"""

from dataclasses import dataclass
from datetime import datetime

from agent.calls.stream_figures import StreamFigures
from fonoteka.core.call_report import Decision, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """`at` is when Asterisk sent the event; `linkedid` is the call as Asterisk saw it then."""

    at: datetime
    linkedid: str

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels (uniqueids) of the event, the most reliable first."""
        return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelEvent(Event):
    """An event of one channel."""

    uniqueid: str

    @property
    def channels(self) -> tuple[str, ...]:
        """The channel of the event."""
        return (self.uniqueid,)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingEvent(Event):
    """An event of a recording, which is identified by the name of its segment."""

    segment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DialEvent(Event):
    """`caller` and `callee` are uniqueids; `caller` is empty if Asterisk originates the call."""

    caller: str
    callee: str

    @property
    def channels(self) -> tuple[str, ...]:
        """The caller and the callee."""
        return (self.caller, self.callee)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStarted(ChannelEvent):
    """A channel was created.

    `exten` is the extension that it dialled; `s` or empty if the PBX itself dialled.
    """

    name: str
    exten: str
    caller_num: str
    caller_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelEnded(ChannelEvent):
    """A channel has ended. `cause` is the Q.850 hangup cause, 0 if unknown."""

    cause: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DialBegan(DialEvent):
    """`caller` rings `callee`.

    `dialled` is the number given to the channel driver, `exten` the caller's dialplan extension,
    `account` the account code.
    """

    caller_num: str
    dialled: str
    exten: str = ""
    account: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DialEnded(DialEvent):
    """The ringing is over.

    `status` is Asterisk's DIALSTATUS; `forward` is where the callee forwarded the call, or empty.
    """

    status: str
    forward: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueEntered(ChannelEvent):
    """A caller entered the waiting line of `queue`, by its name in queues.conf."""

    queue: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeEntered(ChannelEvent):
    """A channel entered a bridge and hears its members.

    The members of a `conference` may be channels of other calls; `room` is the extension at which
    the channel entered it. `late` means that the channel was found in the bridge; when it entered
    is not known.
    """

    bridge: str
    conference: bool = False
    late: bool = False
    room: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldingEntered(ChannelEvent):
    """A channel entered a bridge in which nobody is heard: it is parked, or an `agent` waits."""

    agent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GuestEntered(BridgeEntered):
    """A channel of another call is in a bridge with a channel of this call.

    `name`, `caller_num` and `caller_name` are those of `ChannelStarted`.
    """

    name: str
    caller_num: str
    caller_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeLeft(ChannelEvent):
    """A channel left a bridge."""

    bridge: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Transferred(Event):
    """`transferer` transferred the other party to `target`.

    `target` is the dialled number, or the party of the other bridge.
    """

    transferer: str
    target: str
    attended: bool

    @property
    def channels(self) -> tuple[str, ...]:
        """The transferer."""
        return (self.transferer,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held(ChannelEvent):
    """The party of `uniqueid` put the other party on hold (`on`), or resumed the talk."""

    on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Parked(ChannelEvent):
    """`uniqueid` was parked at `space` from the endpoint `parker` (empty if unknown)."""

    parker: str
    space: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched(ChannelEvent):
    """`by`, a channel that began a call of its own, took `uniqueid` from parking space `space`."""

    by: str
    space: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PickedUp(ChannelEvent):
    """`by`, a channel that began a call of its own, answered instead of the ringing `uniqueid`.

    Asterisk exchanges the two channels: everything attached to the ringing channel, a recorder
    included, moves to `by`, and the ringing channel ends.
    """

    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VoicemailReached(ChannelEvent):
    """The dialplan sent a channel to a mailbox."""

    mailbox: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamMeasured(ChannelEvent):
    """The figures of a channel's RTP stream; Asterisk sends them around the end of the channel."""

    figures: StreamFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingDecided(ChannelEvent):
    """A decision was taken for a channel of a user.

    `segment` is the name of the recording, empty for a refusal. `asked` means that a user requested
    the recording, `paused` that it begins paused, `hears_user` that the user is no party of the
    channel, but heard on it.
    """

    user: str
    decision: Decision
    segment: str
    asked: bool = False
    paused: bool = False
    domain: str = ""
    hears_user: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingAdopted(ChannelEvent):
    """The dialplan recorded a channel for `user` while the agent was away.

    `started_at` is the beginning of the talk, None while it rings. `replaces` are recordings
    (segments) of the channel that the agent did not make, because it was away.
    """

    user: str
    segment: str
    started_at: datetime | None
    replaces: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TalkMissed(ChannelEvent):
    """The talk of `user` was not recorded until now. `segment` names the missing part."""

    user: str
    segment: str
    domain: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingHandedOver(RecordingEvent):
    """A pickup moved a recorder to `user`, and the setting of `user` records the call too."""

    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingUnwanted(RecordingEvent):
    """A pickup moved a recorder to a user that has no need of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingLost(RecordingEvent):
    """A recording failed."""

    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingEnding(RecordingEvent):
    """A recorder stops, and its legs are about to be closed.

    `reason` is why the rest of the talk is missing. It is None if nothing is missing: another
    recorder takes over, or no setting records the rest. `idle` means that there is nothing to
    record for now; another talk is recorded again.
    """

    reason: Reason | None = None
    idle: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingMuted(RecordingEvent):
    """A recording was paused (`muted`) or resumed."""

    muted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingClosed(RecordingEvent):
    """Both legs of a recording are complete and were passed to the mixer.

    `started_at` is the beginning of the talk, computed from the legs if no event marked it.
    `reason` is why a part of the talk is missing, None if nothing is.
    """

    started_at: datetime | None
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingDone(RecordingEvent):
    """A recording needs no further work: the store has it, or there was no talk."""
