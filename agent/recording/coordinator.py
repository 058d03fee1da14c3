"""What follows from an event: recordings begun, renewed, handed over, stopped. What ought to be is decided in pure code elsewhere.

An event is folded into its call (`Switchboard`), the decisions that are due are taken (`decide`), and each is carried out in a
task of its own, so that nothing here makes the next event wait.
"""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, Channel, PendingDecision, Recording, RecordingStage
from agent.calls.events import BridgeEntered, ChannelEnded, Event, Held, PickedUp, RecordingDone, RecordingEnding, RecordingLost
from agent.monitoring import metrics
from agent.recording.lifecycle import RecordingLifecycle, manifest
from agent.recording.rtp_restart import RtpRestarts
from agent.reporting.settlement import Settling
from agent.rules.directory import Directory, DomainIndex
from agent.rules.on_demand_rules import RecordingStop
from agent.rules.recording_rules import pending_decisions, picked_up_recordings, recordings_hearing, stale_recordings
from fonoteka.core.call_report import Reason
from fonoteka.core.domains import DomainSettings
from fonoteka.core.errors import AmiError, SpoolError
from fonoteka.core.manifest import read_failure

TOLD_WITHIN_S: Final = 0.05  # an answer overtakes the events that Asterisk sent before it
MOST_RECORDINGS: Final = 500  # of a call; whoever holds and resumes for ever must not bring it beyond what the store takes
Spawn = Callable[[Coroutine[Any, Any, None]], None]
Tell = Callable[[Event], None]
_log = structlog.get_logger()


class RecordingCoordinator:
    """Acts on the switchboard's calls. `directory` says who is who and is replaced when the settings change."""

    def __init__(
        self,
        calls: CallRegistry,
        settling: Settling,
        holding: RtpRestarts,
        recordings: Callable[[Tell], RecordingLifecycle],
        spawn: Spawn,
    ) -> None:
        self._calls, self._settling, self._holding, self._spawn = calls, settling, holding, spawn
        self._recordings = recordings(self.take)
        self.directory = Directory(settings=DomainSettings(version=0))
        self._beginning = set[str]()  # recordings that are on their way to Asterisk: a second recorder would write the same files

    def ask_again(self) -> None:
        """Start what may never have reached Asterisk: recordings on living channels of which there is no leg; adopt the others."""
        for call in self._calls.calls.values():
            for known in call.recordings:
                channel = call.channels[known.uniqueid]
                if known.stage is not RecordingStage.RUNNING or channel.ended_at is not None:
                    continue
                if known.segment in self._beginning:
                    continue
                if not self._recordings.has_legs(known.segment):
                    self._spawn(self._record(call, channel, known.segment))
                elif not self._recordings.can_stop(known.segment):
                    self._spawn(self._recordings.adopt(channel, known.segment))

    def keep(self, call: Call) -> None:
        """Write down what is known of a call now."""
        self._settling.keep(call)

    def domain_of(self, call: Call) -> DomainIndex | None:
        """The company a call belongs to, None while none can be named."""
        return self.directory.domain_of(call)

    def last_written(self, call: Call) -> datetime | None:
        """When Asterisk last wrote to a recording of this call that goes on; None if to none."""
        running = (known.segment for known in call.recordings if known.stage is RecordingStage.RUNNING)
        return max(
            (written for segment in running if (written := self._recordings.last_written(segment)) is not None), default=None
        )

    def directory_changed(self, directory: Directory) -> None:
        """Judge now the calls of which nobody could say until now whose they are; what was said of them by then is missed."""
        unnamed = [call for call in self._calls.calls.values() if self.domain_of(call) is None]
        self.directory, at = directory, datetime.now(UTC)
        for call in unnamed:
            domain = self.domain_of(call)
            for needed in pending_decisions(call, domain) if domain is not None else ():
                if needed.decision.record and needed.channel.bridge is not None:
                    call = self._calls.missed(call, needed, at)
                call = self._decide(call, needed, at)

    def take(self, event: Event) -> None:
        """Fold one event, and start whatever follows from it. One bad call never stops the next."""
        try:
            call = self._calls.take(event)
            if call is None:
                return
            domain = self.domain_of(call)
            for known, needed in picked_up_recordings(call, domain) if domain is not None and isinstance(event, PickedUp) else ():
                call = self._hand_over(call, known, needed, event.at)
            for needed in pending_decisions(call, domain) if domain is not None else ():
                if needed.decision.record and isinstance(event, BridgeEntered) and event.late:
                    call = self._calls.missed(call, needed, event.at)
                call = self._decide(call, needed, event.at)
            for known in stale_recordings(call) if isinstance(event, BridgeEntered) else ():
                call = self._renew(call, known, event.at)
            if isinstance(event, BridgeEntered):
                self._spawn(self._recordings.listen(call))
            self._settling.changed(call)
            while self._calls.merged:
                self._settling.changed(self._calls.merged.pop())
            if isinstance(event, Held) and recordings_hearing(call, event.uniqueid):
                self._spawn(self._follow_hold(call.channels[event.uniqueid], event.on))
            if isinstance(event, ChannelEnded):
                self._holding.forget(event.uniqueid)
                for known in call.recordings:
                    if known.uniqueid == event.uniqueid and known.stage is RecordingStage.RUNNING:
                        self._finish(call, known)
        except Exception:
            metrics.ERRORS.inc()
            _log.exception("event.not_understood", linkedid=event.linkedid, event_type=type(event).__name__)

    def _decide(self, call: Call, needed: PendingDecision, at: datetime, after: Recording | None = None) -> Call:
        call, segment = self._prepared(call, needed, at)
        if segment:
            self._spawn(self._start(call, needed.channel, segment, after))
        return call

    def _prepared(self, call: Call, needed: PendingDecision, at: datetime) -> tuple[Call, str]:
        """The call with a decision taken, and the name of the recording that may begin now (empty: none)."""
        call, segment = self._calls.decided(call, needed, at)
        told = self._settling.told(call)
        if not segment or told is None:
            return call, ""
        try:
            self._recordings.prepare(manifest(segment, needed.user, at, 0, told))
        except OSError as error:
            _log.error("recording.no_folder", linkedid=call.linkedid, segment=segment, error=str(error))
            reason = Reason.DISK_FULL if error.errno == errno.ENOSPC else Reason.ASTERISK_FAILED
            return self._calls.take(RecordingLost(at=at, linkedid=call.linkedid, segment=segment, reason=reason)) or call, ""
        self._settling.changed(call)
        self._beginning.add(segment)
        return call, segment

    async def _start(self, call: Call, channel: Channel, segment: str, after: Recording | None = None) -> None:
        """Journal first: an agent that dies in between must not ask for a second recorder into the same files."""
        try:
            self._settling.keep(call)
            if after is not None:
                await self._stop_to_renew(call, channel, after)
            await self._record(call, channel, segment)
        finally:
            self._beginning.discard(segment)

    async def _stop_to_renew(self, call: Call, channel: Channel, after: Recording) -> None:
        await self._recordings.try_stop(call, channel, after.segment)
        self._spawn(self._recordings.finish(call, after, channel, self._settling.told(call)))
        await self._recordings.forgotten(channel)

    async def _record(self, call: Call, channel: Channel, segment: str) -> None:
        """Begin a recording; one that comes in the place of a paused one is paused too."""
        domain = self.domain_of(call)
        beep_every_s = domain.settings.beep_every_s if domain is not None else 0
        if not await self._recordings.start(call, channel, segment, beep_every_s=beep_every_s):
            await self._record_elsewhere(call, channel, segment)
            return
        self._spawn(self._recordings.expect_legs(call, segment))
        known = call.recording(segment)
        if known is not None and known.paused:
            try:
                await self._recordings.mute(channel, muted=True)
            except AmiError as error:
                _log.error("recording.not_paused", linkedid=call.linkedid, segment=segment, error=str(error))

    async def _record_elsewhere(self, call: Call, refused: Channel, segment: str) -> None:
        """The phone that rang is gone before it could be recorded: somebody else picked the call up, and is recorded then."""
        await asyncio.sleep(TOLD_WITHIN_S)
        now = self._calls.with_recording(segment) or call
        known = now.recording(segment)
        channel = now.channels[known.uniqueid] if known is not None and known.stage is RecordingStage.RUNNING else refused
        if channel.uniqueid != refused.uniqueid and channel.ended_at is None:
            await self._record(now, channel, segment)
        else:
            self._recordings.refused(now, segment)

    async def begin(self, call: Call, needed: PendingDecision, at: datetime) -> str:
        """Record while the talk goes on; returns the recording's name, empty where there is none."""
        call, segment = self._prepared(call, needed, at)
        if segment:
            await self._start(call, needed.channel, segment)
        return segment

    async def end(self, call: Call, ending: RecordingStop, at: datetime) -> None:
        """Stop a recording while its talk goes on. Raises AmiError."""
        known = ending.recording
        channel = call.channels[known.uniqueid]
        await self._recordings.stop(channel, known.segment)
        self.take(RecordingEnding(at=at, linkedid=call.linkedid, segment=known.segment, reason=ending.reason))
        call = self._calls.with_recording(known.segment) or call
        so_far = replace(channel, bridged_ms=channel.bridged_ms_until(at))
        self._spawn(self._recordings.finish(call, call.recording(known.segment) or known, so_far, self._settling.told(call)))

    async def mute(self, call: Call, known: Recording, muted: bool) -> None:
        """Pause a recording, or let it go on. Raises AmiError."""
        await self._recordings.mute(call.channels[known.uniqueid], muted=muted)

    def _renew(self, call: Call, known: Recording, at: datetime) -> Call:
        """Let a recorder end and another begin, since the channel talks with somebody else now."""
        if not self._recordings.can_stop(known.segment) or len(call.recordings) >= MOST_RECORDINGS:
            return call
        call = self._calls.take(RecordingEnding(at=at, linkedid=call.linkedid, segment=known.segment)) or call
        needed = PendingDecision(
            channel=call.channels[known.uniqueid], user=known.user, decision=known.decision, asked=known.asked, paused=known.paused
        )
        return self._decide(call, needed, at, after=known)

    async def _follow_hold(self, channel: Channel, on: bool) -> None:
        """A telephone that begins its RTP anew after a hold would be missing in the recordings from then on."""
        if on:
            await self._holding.held(channel)
        elif await self._holding.has_restarted(channel):
            call = self._calls.call_of_channel(channel.uniqueid)
            if call is not None:
                for known in recordings_hearing(call, channel.uniqueid):
                    call = self._renew(call, known, datetime.now(UTC))

    def _hand_over(self, call: Call, known: Recording, needed: PendingDecision, at: datetime) -> Call:
        """A recorder came with a picked-up channel: it goes on for its new user, or is stopped and forgotten."""
        call = self._calls.handed_over(call, known, needed, at)
        if (now := call.recording(known.segment)) is not None and now.stage is RecordingStage.UNWANTED:
            self._spawn(self._recordings.discard(call, known, needed.channel))
        return call

    def _finish(self, call: Call, known: Recording) -> None:
        if known.stage in (RecordingStage.RUNNING, RecordingStage.ENDING):
            channel, told = call.channels[known.uniqueid], self._settling.told(call)
            self._spawn(self._recordings.finish(call, known, channel, told))

    def resume(self) -> None:
        """Take up what an earlier run left: calls the store has not settled, recordings at whatever stage it died."""
        claimed = frozenset(known.segment for call in self._calls.calls.values() for known in call.recordings)
        for item in self._recordings.orphans(claimed):
            self._spawn(self._recordings.take_up(item))
        for call in list(self._calls.calls.values()):
            self._settling.changed(call)
            for known in call.recordings:
                if known.stage is RecordingStage.CLOSED and not self._recordings.is_further_on(known.segment):
                    self.shipped(Path(known.segment), call.linkedid)  # the receipt came, the word of it was lost
                elif known.stage is RecordingStage.UNWANTED:
                    self._spawn(self._recordings.discard(call, known, call.channels[known.uniqueid]))
                elif known.stage in (RecordingStage.RUNNING, RecordingStage.ENDING):
                    self._recordings.watch(known.segment)
                    if known.stage is RecordingStage.ENDING or call.channels[known.uniqueid].ended_at is not None:
                        self._finish(call, known)

    def shipped(self, item: Path, linkedid: str) -> None:
        """The store has an item; nothing of it is left to be done."""
        self.take(RecordingDone(at=datetime.now(UTC), linkedid=linkedid, segment=item.name))

    def rejected(self, item: Path) -> None:
        """Tell the store why a recording was set aside; the item stays for a human."""
        try:
            failure = read_failure(item)
            reason, why = failure.reason, failure.detail
        except SpoolError as error:
            reason, why = Reason.AUDIO_DAMAGED, str(error)
        call = self._calls.with_recording(item.name)
        _log.error("recording.rejected", linkedid=call.linkedid if call else None, segment=item.name, reason=reason, why=why)
        if call is not None:
            self.take(RecordingLost(at=datetime.now(UTC), linkedid=call.linkedid, segment=item.name, reason=reason))
