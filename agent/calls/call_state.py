"""The state of a call: channels, dials, bridges, and the recording decisions.

Plain values. `agent.calls.fold` returns the next state for an event, `agent.reporting` reports it
to the store, and the journal keeps it as JSON for the next run of the agent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from agent.calls.stream_figures import StreamFigures
from fonoteka.core.call_report import Decision, Reason

# The agent counts the recordings of a channel from 1; the dialplan makes at most one.
PART_BY_DIALPLAN: Final = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """A channel of Asterisk: the line of one party.

    `bridge` is the bridge that it is in now, `bridged_ms` its time in earlier bridges. The other
    participants of a `conference` are mostly channels of other calls: each participant that dials
    in has a call, and a row in the calls table, of its own. `room` is the extension at which it
    entered a conference.

    `guest` is a channel of another call in a bridge with a channel of this one: another participant
    of a conference, an agent, a party that a program joined. `agent` is a channel that waits on an
    open line between talks (AgentLogin); `waits` means that it hears nobody in its bridge now: a
    parking lot, or an agent between talks.
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
    room: str = ""
    guest: bool = False
    agent: bool = False
    waits: bool = False
    figures: StreamFigures | None = None

    def bridged_ms_until(self, at: datetime) -> int:
        """Return the time in bridges until `at`."""
        return self.bridged_ms + _ms(self.bridged_since, at)

    @property
    def endpoint(self) -> str:
        """The channel's name without its number: `PJSIP/acme-152-00000001` → `PJSIP/acme-152`."""
        return self.name.rpartition("-")[0] or self.name

    @property
    def is_local(self) -> bool:
        """Whether it is one half of a Local channel: no party, but a passage in the dialplan."""
        return self.name.startswith("Local/")

    @property
    def other_half(self) -> str:
        """The name of the other half of a Local channel: `Local/8495…@out-00000001;1` → `…;2`."""
        return f"{self.name[:-1]}{'2' if self.name.endswith('1') else '1'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    """A dial: `caller`, at `exten` of the dialplan, rings `callee` (uniqueids).

    `caller` is empty if the PBX itself rings. `caller_num` is the number that the callee is shown,
    `account` the account code. `status` is empty while it rings.
    """

    caller: str
    callee: str
    caller_num: str
    dialled: str
    at: datetime
    exten: str = ""
    account: str = ""
    ended_at: datetime | None = None
    status: str = ""
    forward: str = ""


class RecordingStage(StrEnum):
    """The stage of a recording in the agent."""

    REFUSED = "refused"
    RUNNING = "running"
    ENDING = "ending"
    # A pickup moved the recorder to a user that is not recorded: it is stopped, its audio deleted.
    UNWANTED = "unwanted"
    CLOSED = "closed"
    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mute:
    """A pause of a recording, measured in bridged time since the recording began.

    `to_ms` is None while the recording is paused.
    """

    from_ms: int
    to_ms: int | None = None


def decided_on(uniqueid: str, login: str, *, hears_user: bool) -> tuple[str, str]:
    """Return what is decided on once: a channel, or each of the users that are heard on it."""
    return uniqueid, login if hears_user else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A decision for a channel on behalf of a user, and what became of it.

    `started_at` is the first bridged moment, None before it. `bridged_before_ms` is the bridged
    time of the channel before the recorder was started. `heard` are the parties (uniqueids) with
    which the channel talked first. `asked` means that a user requested the recording. `hears_user`
    means that the user is no party of the recorded channel, but heard on it. `idle` means that it
    ended because the channel had nobody to talk with, or no user to record. `domain` is that of the
    user; empty in the journal of an earlier version: the first of the call.
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
    domain: str = ""
    hears_user: bool = False
    idle: bool = False

    @property
    def decided_on(self) -> tuple[str, str]:
        """Its key among the decisions of a call."""
        return decided_on(self.uniqueid, self.user, hears_user=self.hears_user)

    @property
    def by_dialplan(self) -> bool:
        """Whether the dialplan started the recorder, because the agent was away."""
        return self.segment.endswith(f"_{PART_BY_DIALPLAN}")

    @property
    def of_nobody(self) -> bool:
        """Whether it is a refusal for no user, of a telephone that rings."""
        return self.stage is RecordingStage.REFUSED and not self.user and self.started_at is None

    @property
    def paused(self) -> bool:
        """Whether the recording is paused now."""
        return bool(self.muted) and self.muted[-1].to_ms is None


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingDecision:
    """A recording decision that the call needs now and that has not been taken yet.

    `user` is the login on whose behalf the channel is recorded; empty where no user takes part.
    `domain` is the domain whose settings decide.
    `asked`: a user requested the recording; `paused`: the recorder starts paused, as the recorder
    that it replaces was paused; `hears_user`: the user is heard on the channel.
    """

    channel: Channel
    user: str
    decision: Decision
    asked: bool = False
    paused: bool = False
    domain: str = ""
    hears_user: bool = False


class MomentKind(StrEnum):
    """The kinds of moments in the timeline of a call."""

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
    VOICEMAIL = "voicemail"
    PAUSE_RECORD = "pause_record"
    RESUME_RECORD = "resume_record"
    STOP_RECORD = "stop_record"
    LEAVE = "leave"
    END = "end"


OF_RECORDINGS: Final = frozenset({MomentKind.PAUSE_RECORD, MomentKind.RESUME_RECORD, MomentKind.STOP_RECORD})


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One moment of the call's timeline.

    The party is a channel (`uniqueid`) or a number (`text`). `other` is the channel on the other
    side: for a ring the channel that rings, for a pickup the channel that rang.
    """

    at: datetime
    kind: MomentKind
    uniqueid: str = ""
    text: str = ""
    other: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """A time in which parties of the call talked."""

    since: datetime
    until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """The state of one call. Channels and dials are in the order of their arrival.

    `queue` is the last queue that the call entered before it was answered, `queued_at` when it
    entered the first one.
    `talks` are the talks that are over, `talking_since` is the beginning of the present one.
    """

    linkedid: str
    started_at: datetime
    revision: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)
    dials: tuple[Dial, ...] = ()
    recordings: tuple[Recording, ...] = ()
    moments: tuple[Moment, ...] = ()
    queue: str = ""
    queued_at: datetime | None = None
    taken_at: datetime | None = None
    taken_by: str = ""
    talking_since: datetime | None = None
    talks: tuple[Talk, ...] = ()
    ended_at: datetime | None = None
    merged_into: str = ""

    @property
    def origin(self) -> Channel | None:
        """The channel that began the call, preferably no Local channel."""
        own = (channel for channel in self.channels.values() if not channel.guest)
        first = next(own, None)
        if first is None or not first.is_local:
            return first
        return next((channel for channel in own if not channel.is_local), first)

    @property
    def own(self) -> list[Channel]:
        """The channels of this call, without guests."""
        return [channel for channel in self.channels.values() if not channel.guest]

    @property
    def is_page(self) -> bool:
        """Whether one party speaks to several telephones that the PBX rings for it (Page)."""
        origin, first = self.origin, next(iter(self.channels), "")
        begun = ("", first, origin.uniqueid if origin is not None else "")
        return any(not dial.caller and dial.callee in self.channels and dial.callee not in begun for dial in self.dials)

    def members(self, bridge: str) -> Iterator[Channel]:
        """Return the channels that are in a bridge now."""
        return (channel for channel in self.channels.values() if channel.bridge == bridge)

    def talk_ms_until(self, at: datetime) -> int:
        """Return the time until `at` in which anybody talked, each moment once."""
        present = () if self.talking_since is None else (Talk(since=self.talking_since, until=max(self.talking_since, at)),)
        return sum(_ms(talk.since, talk.until) for talk in united((*self.talks, *present)))

    @property
    def seen_until(self) -> datetime:
        """The time of the last event of Asterisk that the call shows.

        What Fonoteka does to a recording has a time of its own and does not count.
        """
        times = [self.started_at, *(talk.until for talk in self.talks)]
        for channel in self.channels.values():
            times += filter(None, (channel.started_at, channel.ended_at, channel.bridged_since, channel.first_bridged_at))
        for dial in self.dials:
            times += filter(None, (dial.at, dial.ended_at))
        return max(*times, *(moment.at for moment in self.moments if moment.kind not in OF_RECORDINGS))

    @property
    def alive(self) -> bool:
        """Whether the call still has a channel."""
        return any(channel.ended_at is None for channel in self.own)

    def recording(self, segment: str) -> Recording | None:
        """Return the recording with this name, or None. A refused recording has no name."""
        return next((recording for recording in self.recordings if recording.segment and recording.segment == segment), None)

    @property
    def waits_for_store(self) -> bool:
        """Whether the call has ended and its recordings have left the agent.

        What remains is work of the mixer and the store.
        """
        pending = (RecordingStage.RUNNING, RecordingStage.ENDING, RecordingStage.UNWANTED)
        return self.ended_at is not None and not any(recording.stage in pending for recording in self.recordings)

    @property
    def settled(self) -> bool:
        """Whether the call has ended and no recording of it needs further work."""
        return self.waits_for_store and not any(recording.stage is RecordingStage.CLOSED for recording in self.recordings)


def united(talks: Iterable[Talk]) -> tuple[Talk, ...]:
    """Return the same time as talks that do not overlap, the oldest first."""
    found: list[Talk] = []
    for talk in sorted(talks, key=lambda talk: talk.since):
        if found and talk.since <= found[-1].until:
            found[-1] = replace(found[-1], until=max(found[-1].until, talk.until))
        else:
            found.append(talk)
    return tuple(found)


def _ms(since: datetime | None, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000)) if since is not None else 0
