"""A call while it goes on: its channels, who rang whom, who hears whom, and what was decided about recording.

Plain values: `agent.calls.fold` makes the next one from an event, `call_report` tells it to the store, and the spool
keeps it as JSON so that a restarted agent goes on where it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fonoteka.core.call_report import Decision, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One party's line. `bridge` is where it is now; `bridged_ms` counts its time in bridges that are over.

    In a `conference` the others are mostly channels of other calls: each who dials in has a call, and a row, of their own.
    """

    uniqueid: str
    name: str
    exten: str
    caller_num: str
    caller_name: str
    started_at: datetime
    ended_at: datetime | None = None
    cause: int = 0
    bridge: str | None = None
    conference: bool = False
    bridged_since: datetime | None = None
    first_bridged_at: datetime | None = None
    bridged_ms: int = 0

    def bridged_ms_until(self, at: datetime) -> int:
        """Its time in bridges, up to a moment."""
        return self.bridged_ms + _ms(self.bridged_since, at)

    @property
    def endpoint(self) -> str:
        """The channel's name without its running number: `PJSIP/acme-152-00000001` → `PJSIP/acme-152`."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def is_local(self) -> bool:
        """A half of a Local channel: no party of its own, a passage in the dialplan."""
        return self.name.startswith("Local/")

    @property
    def other_half(self) -> str:
        """The name of the other half of a Local channel: `Local/8495…@out-00000001;1` → `…;2`."""
        return f"{self.name[:-1]}{'2' if self.name.endswith('1') else '1'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    """One ringing: `caller`, standing at `exten` of the dialplan, rang `callee` (uniqueids); `status` is empty while it rings."""

    caller: str
    callee: str
    caller_num: str
    dialled: str
    at: datetime
    exten: str = ""
    ended_at: datetime | None = None
    status: str = ""
    forward: str = ""


class RecordingStage(StrEnum):
    """Where one recording stands, as the agent knows it."""

    REFUSED = "refused"
    RUNNING = "running"
    ENDING = "ending"
    UNWANTED = "unwanted"  # came with a picked-up channel to somebody who is not recorded: stopped, and its audio thrown away
    CLOSED = "closed"
    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mute:
    """A stretch in which a recording was paused, in its own time (what was bridged since it began); `to_ms` None: it still is."""

    from_ms: int
    to_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """What was decided for a channel, on behalf of which user, and what became of it.

    `started_at` is its first bridged moment, None while there was none; `bridged_before_ms` is how long the channel had been
    bridged when the recording was asked for; `heard` are the parties (uniqueids) that the channel first talked with.
    `asked`: it was begun because somebody asked for it.
    """

    uniqueid: str
    user: str
    decision: Decision
    segment: str
    stage: RecordingStage
    reason: Reason | None = None
    started_at: datetime | None = None
    bridged_before_ms: int = 0
    heard: tuple[str, ...] = ()
    asked: bool = False
    muted: tuple[Mute, ...] = ()

    @property
    def paused(self) -> bool:
        """Whether it is paused now."""
        return bool(self.muted) and self.muted[-1].to_ms is None


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingDecision:
    """A recording decision that the call needs now and that has not been taken yet.

    `user` is the login on whose behalf the channel is recorded; empty where no user takes part.
    `asked`: a user requested the recording; `paused`: the recorder starts paused, as the recorder
    that it replaces was paused.
    """

    channel: Channel
    user: str
    decision: Decision
    asked: bool = False
    paused: bool = False


class MomentKind(StrEnum):
    """What a call's path tells."""

    ARRIVE = "arrive"
    RING = "ring"
    ANSWER = "answer"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAIL = "fail"
    FORWARD = "forward"
    TRANSFER = "transfer"
    BACK = "back"
    HOLD = "hold"
    RESUME = "resume"
    PARK = "park"
    FETCH = "fetch"
    PICK_UP = "pick_up"
    JOIN = "join"
    PAUSE_RECORD = "pause_record"
    RESUME_RECORD = "resume_record"
    STOP_RECORD = "stop_record"
    LEAVE = "leave"
    END = "end"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One station of the path; the party is a channel (`uniqueid`) or a number (`text`); `other` is the channel on the far side.

    That is, for a ring who rings; for a call picked up, whose ringing it was.
    """

    at: datetime
    kind: MomentKind
    uniqueid: str = ""
    text: str = ""
    other: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """All that is known of one call. Channels and dials stand in the order in which they came."""

    linkedid: str
    started_at: datetime
    revision: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)
    dials: tuple[Dial, ...] = ()
    recordings: tuple[Recording, ...] = ()
    moments: tuple[Moment, ...] = ()
    taken_at: datetime | None = None
    taken_by: str = ""
    talking_since: datetime | None = None
    talk_ms: int = 0
    ended_at: datetime | None = None
    merged_into: str = ""

    @property
    def origin(self) -> Channel | None:
        """The channel that began the call, by preference one with a party."""
        return next((channel for channel in self.channels.values() if not channel.is_local), None) or next(
            iter(self.channels.values()), None
        )

    def members(self, bridge: str) -> Iterator[Channel]:
        """The channels that are in a bridge now."""
        return (channel for channel in self.channels.values() if channel.bridge == bridge)

    def talk_ms_until(self, at: datetime) -> int:
        """How long anybody talked, up to a moment."""
        return self.talk_ms + _ms(self.talking_since, at)

    @property
    def alive(self) -> bool:
        """Whether any channel is left."""
        return any(channel.ended_at is None for channel in self.channels.values())

    def recording(self, segment: str) -> Recording | None:
        """The recording of that name; a refused one has none."""
        return next((known for known in self.recordings if known.segment and known.segment == segment), None)

    @property
    def settled(self) -> bool:
        """The call is over and nothing of its recordings is left to be done."""
        pending = (RecordingStage.RUNNING, RecordingStage.ENDING, RecordingStage.UNWANTED, RecordingStage.CLOSED)
        return self.ended_at is not None and not any(known.stage in pending for known in self.recordings)


def _ms(since: datetime | None, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000)) if since is not None else 0
