"""What can follow from an event: small values that `plan` returns and the coordinator performs."""

from dataclasses import dataclass

from agent.calls.events import Event
from agent.recording.away_files import AwayRecording


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One consequence. `events` are folded into the call first; then the effect is performed."""

    events: tuple[Event, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingEffect(Effect):
    """A consequence for the recording named `segment`."""

    segment: str


class NoteRefusal(Effect):
    """A channel is not recorded; the reason is in the decision."""


class NoteMissedTalk(Effect):
    """A part of a talk passed before its recorder could be started."""


class HandOverRecorder(RecordingEffect):
    """The recorder of a ringing channel continues for the user who picked the call up."""


class DiscardRecording(RecordingEffect):
    """Stop a recorder and delete its audio: the user who picked the call up is not recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptRecording(RecordingEffect):
    """Move the legs that the dialplan writes into the recording's folder."""

    away: AwayRecording


class StartRecording(RecordingEffect):
    """Prepare the recording's folder and start a recorder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RestartRecorder(RecordingEffect):
    """Stop the recorder of `replaces` and start another one for `segment` on the same channel."""

    replaces: str


class StopRecorder(RecordingEffect):
    """Stop a recorder while its channel goes on: there is nothing to record for now."""


class FinishRecording(RecordingEffect):
    """Wait until Asterisk has closed the leg files, then pass the recording to the mixer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowHold(Effect):
    """A channel that is heard in a recording put the call on hold (`on`) or resumed it."""

    uniqueid: str
    on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetHold(Effect):
    """A channel has ended: drop what is remembered of its RTP stream."""

    uniqueid: str


class CheckCodecs(Effect):
    """Ask Asterisk which codecs the parties talk in."""


class ReportCall(Effect):
    """Write the call to the journal and report it to the store."""


class WatchLegs(RecordingEffect):
    """Watch the leg files of a recording that an earlier run of the agent started."""


class ConfirmShipped(RecordingEffect):
    """Mark a recording as done if the spool no longer holds it: its receipt came before a crash."""


class ResumeRecorder(RecordingEffect):
    """Start a recorder that may never have reached Asterisk, or learn the id of a running one."""
