"""The recording path: fold an event, plan what follows, perform the effects.

`plan` decides and is pure; this module performs. Anything that waits runs in a task of its own, so
that no event waits for it.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, PendingDecision, Recording
from agent.calls.decision_events import decision_event
from agent.calls.events import (
    BridgeEntered,
    ChannelStarted,
    DialBegan,
    Event,
    RecordingDone,
    RecordingEnding,
    RecordingLost,
    RecordingMuted,
)
from agent.monitoring import metrics
from agent.recording.adoption import dated, plan_adoption
from agent.recording.away_files import AwayFiles, AwayRecording
from agent.recording.effects import (
    AdoptRecording,
    CheckCodecs,
    ConfirmShipped,
    DiscardRecording,
    Effect,
    FinishRecording,
    FollowHold,
    ForgetHold,
    HandOverRecorder,
    NoteMissedTalk,
    NoteRefusal,
    ReportCall,
    RestartRecorder,
    ResumeRecorder,
    StartRecording,
    StopRecorder,
    WatchLegs,
)
from agent.recording.lifecycle import RecordingLifecycle
from agent.recording.mixmonitor import MixMonitor
from agent.recording.plan import plan, plan_agent_start, plan_known_domain, plan_link_up, plan_rtp_restart
from agent.recording.recorder_tasks import RecorderTasks, Spawn
from agent.recording.rtp_restart import RtpRestarts
from agent.recording.wideband import CodecCheck
from agent.reporting.settlement import CallSettlement
from agent.rules.directory import Directory, DomainIndex
from agent.rules.on_demand_rules import RecordingStop
from agent.rules.parties import domain_of
from fonoteka.core.domains import DomainSettings
from fonoteka.core.manifest import Failure

_log = structlog.get_logger()


class RecordingCoordinator:
    """Performs the effects of events. `directory` is replaced when the settings change."""

    def __init__(
        self,
        registry: CallRegistry,
        settling: CallSettlement,
        mixmonitor: MixMonitor,
        lifecycle: RecordingLifecycle,
        codecs: CodecCheck,
        rtp_restarts: RtpRestarts,
        away: AwayFiles,
        spawn: Spawn,
    ) -> None:
        self._away = away
        self._registry, self._settling, self._spawn = registry, settling, spawn
        self._mixmonitor, self._lifecycle = mixmonitor, lifecycle
        self._codecs, self._rtp_restarts = codecs, rtp_restarts
        self._tasks = RecorderTasks(
            registry=registry,
            settling=settling,
            mixmonitor=mixmonitor,
            lifecycle=lifecycle,
            codecs=codecs,
            take=self.take,
            beep_every_s=self._beep_every_s,
            spawn=spawn,
        )
        self.directory = Directory(settings=DomainSettings(version=0))

    def take(self, event: Event) -> None:
        """Fold one event and perform what follows. An error in a call does not stop others."""
        try:
            if isinstance(event, BridgeEntered) and event.late and (found := self._registry.call_of_channel(event.uniqueid)):
                event = dated(event, found)
            before, after = self._registry.fold(event)
            if isinstance(event, DialBegan):
                self._away.scan_if_dialplan_records()
            if after is not None and isinstance(event, ChannelStarted | DialBegan):
                after = self.adopt(after)
            if after is not None:
                self.perform_all(after, plan(before, after, event, self.directory), event.at)
            for visited, now, visit in self._registry.take_visits():
                self.perform_all(now, plan(visited, now, visit, self.directory), visit.at)
            for part in self._registry.take_merged():
                self._settling.changed(part)
        except Exception:
            metrics.ERRORS.inc()
            _log.exception("event.failed", linkedid=event.linkedid, event_type=type(event).__name__)

    def directory_changed(self, directory: Directory) -> None:
        """Decide on calls that had no known domain; mark what was not recorded meanwhile."""
        unknown = [call for call in self._registry.calls.values() if self.domain_of(call) is None]
        self.directory, at = directory, datetime.now(UTC)
        self._plan_each(map(self.adopt, unknown), lambda call: plan_known_domain(call, directory, at))

    def adopt_all(self) -> None:
        """Join what the dialplan recorded to the calls in progress."""
        self._away.scan()
        for call in list(self._registry.calls.values()):
            self.adopt(call)

    def adopt(self, call: Call, unrecorded: frozenset[str] = frozenset()) -> Call:
        """Join what the dialplan recorded of a call to the call. Returns the call after it.

        The call must be in the registry. `unrecorded` are its segments whose recorders did not run;
        those that the dialplan recorded instead are replaced. If the recorded channel has ended,
        the recording is passed to the mixer.
        """
        waiting = self._away.of_channels(channel.uniqueid for channel in call.own)
        domain = self.domain_of(call) if waiting and not call.merged_into else None
        if domain is None:
            return call
        for away in waiting:
            try:
                self._adopt(call, domain, away, unrecorded)
            except Exception:  # the event that led here has more effects
                metrics.ERRORS.inc()
                _log.exception("away.failed", linkedid=call.linkedid, uniqueid=away.uniqueid)
            call = self._registry.call(call.linkedid) or call
        return call

    def _adopt(self, call: Call, domain: DomainIndex, away: AwayRecording, unrecorded: frozenset[str]) -> None:
        at = datetime.now(UTC)
        joins, *follows = plan_adoption(call, domain, away, at, unrecorded)
        call = self._perform(call, joins, at)
        if not self._away.is_waiting(away):  # else the legs were not moved: adopt_all tries again
            self.perform_all(call, follows, at)

    def link_up(self) -> None:
        """Start recorders that may never have reached Asterisk; learn the ids of the others."""
        self._plan_each(list(self._registry.calls.values()), plan_link_up)

    def resume(self) -> None:
        """Take up what an earlier run of the agent left in the journal and in the spool."""
        self.adopt_all()
        calls = list(self._registry.calls.values())
        journalled = frozenset(recording.segment for call in calls for recording in call.recordings)
        for recording_folder in self._lifecycle.orphans(journalled):
            self._spawn(self._lifecycle.take_up(recording_folder))
        self._plan_each(calls, plan_agent_start)

    def _plan_each(self, calls: Iterable[Call], planned: Callable[[Call], Iterable[Effect]]) -> None:
        """Perform what is planned for each call. An error in a call does not stop others."""
        for call in calls:
            try:
                self.perform_all(call, planned(call), datetime.now(UTC))
            except Exception:
                metrics.ERRORS.inc()
                _log.exception("plan.failed", linkedid=call.linkedid)

    def take_up(self, call: Call) -> None:
        """Take up a call that was left to the journal, and is in the registry again.

        An error in a call does not stop others.
        """
        try:
            self.perform_all(self.adopt(call), plan_agent_start(call), datetime.now(UTC))
        except Exception:
            metrics.ERRORS.inc()
            _log.exception("call.not_taken_up", linkedid=call.linkedid)

    def perform_all(self, call: Call, effects: Iterable[Effect], at: datetime) -> None:
        """Perform effects in order; each finds the call as the effects before it left it."""
        for effect in effects:
            call = self._perform(call, effect, at)

    def _perform(self, call: Call, effect: Effect, at: datetime) -> Call:
        """Perform one effect. Returns the call as it is afterwards."""
        if isinstance(effect, RestartRecorder) and not self._mixmonitor.can_stop(effect.replaces):
            return call
        for event in effect.events:
            call = self._registry.take(event) or call
        match effect:
            case NoteRefusal() | NoteMissedTalk() | HandOverRecorder():
                pass
            case AdoptRecording(segment=segment, away=away):
                if self._tasks.adopt(call, segment, away):
                    self._away.taken(away)
            case StartRecording(segment=segment):
                if self._tasks.prepare(call, segment, at):
                    self._spawn(self._tasks.start(call, segment))
            case RestartRecorder(segment=segment, replaces=replaces):
                if self._tasks.prepare(call, segment, at):
                    self._spawn(self._tasks.restart(call, segment, replaces, at))
                else:
                    self._spawn(self._tasks.stop_replaced(call, replaces, at))
            case StopRecorder(segment=segment):
                self._spawn(self._tasks.stop_idle(call, segment, at))
            case ResumeRecorder(segment=segment):
                self._tasks.resume(call, segment)
            case DiscardRecording(segment=segment):
                self._spawn(self._tasks.discard(call, segment))
            case FinishRecording(segment=segment):
                recording = call.recording(segment)
                if recording is not None and not self._has_waiting_legs(recording):
                    self._tasks.finish(call, recording, call.channels[recording.uniqueid])
            case WatchLegs(segment=segment):
                self._lifecycle.watch(segment)
            case ConfirmShipped(segment=segment):
                if not self._lifecycle.has_moved_on(segment):
                    self.shipped(Path(segment), call.linkedid)
            case FollowHold(uniqueid=uniqueid, on=on):
                self._spawn(self._follow_hold(call, uniqueid, on))
            case ForgetHold(uniqueid=uniqueid):
                self._rtp_restarts.forget(uniqueid)
            case CheckCodecs():
                self._spawn(self._codecs.check(call))
            case ReportCall():
                self._settling.changed(call)
            case _:
                raise NotImplementedError(type(effect).__name__)
        return self._registry.call(call.linkedid) or call

    def _has_waiting_legs(self, recording: Recording) -> bool:
        """Return whether its legs could not be moved yet: adopt_all moves them, and finishes it."""
        return recording.by_dialplan and bool(self._away.of_channels([recording.uniqueid]))

    async def _follow_hold(self, call: Call, uniqueid: str, on: bool) -> None:
        channel = call.channels[uniqueid]
        if on:
            await self._rtp_restarts.held(channel)
        elif await self._rtp_restarts.has_restarted(channel):
            now, at = self._registry.call_of_channel(uniqueid), datetime.now(UTC)
            if now is not None:
                self.perform_all(now, plan_rtp_restart(now, uniqueid, at), at)

    def _beep_every_s(self, call: Call) -> int:
        domain = self.domain_of(call)
        return domain.settings.beep_every_s if domain is not None else 0

    # Requests during a talk: the actions of `agent.recording.on_demand`.

    async def start(self, call: Call, pending: PendingDecision, at: datetime) -> str:
        """Start a recording during the talk. Returns its name, empty if preparation failed."""
        decided = decision_event(call, pending, at)
        call = self._registry.take(decided) or call
        if not self._tasks.prepare(call, decided.segment, at):
            return ""
        await self._tasks.start(call, decided.segment)
        return decided.segment

    async def stop(self, call: Call, stop: RecordingStop, at: datetime) -> None:
        """Stop a recording during the talk. Raises AmiError."""
        segment = stop.recording.segment
        ending = RecordingEnding(at=at, linkedid=call.linkedid, segment=segment, reason=stop.reason)
        await self._tasks.stop(call, segment, at, ending)

    async def mute(self, call: Call, recording: Recording, muted: bool) -> None:
        """Pause or resume a recording. Raises AmiError."""
        await self._mixmonitor.mute(call.channels[recording.uniqueid].name, muted=muted)
        now = datetime.now(UTC)
        self.take(RecordingMuted(at=now, linkedid=call.linkedid, segment=recording.segment, muted=muted))

    def refuse(self, call: Call, pending: PendingDecision, at: datetime) -> None:
        """Note that a channel is not recorded, because a user or administrator stopped it."""
        self._registry.take(decision_event(call, pending, at))

    def keep(self, call: Call) -> None:
        """Write the call to the journal now."""
        self._settling.keep(call)

    def domain_of(self, call: Call) -> DomainIndex | None:
        """Return the domain a call belongs to, None while it is not known."""
        return domain_of(call, self.directory)

    # Reports of the shipper.

    def shipped(self, recording_folder: Path, linkedid: str) -> None:
        """Mark a recording that the store has as done."""
        self.take(RecordingDone(at=datetime.now(UTC), linkedid=linkedid, segment=recording_folder.name))

    def rejected(self, recording_folder: Path, failure: Failure) -> None:
        """Report why a recording was set aside; its folder stays for an operator."""
        segment, reason, detail = recording_folder.name, failure.reason, failure.detail
        call = self._registry.with_recording(segment)
        linkedid = call.linkedid if call is not None else None
        _log.error("recording.rejected", linkedid=linkedid, segment=segment, reason=reason, detail=detail)
        if call is not None:
            self.take(RecordingLost(at=datetime.now(UTC), linkedid=call.linkedid, segment=segment, reason=reason))
