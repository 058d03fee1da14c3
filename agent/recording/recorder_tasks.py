"""The tasks behind the effects: starting, restarting, stopping and finishing one recorder.

Each task runs beside the event loop of the agent, so that no event waits for Asterisk or the disk.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog

from agent.calls.call_registry import CallRegistry
from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.events import Event, RecordingLost
from agent.recording.away_files import AwayRecording
from agent.recording.lifecycle import NO_LEGS_HINT, RecordingLifecycle
from agent.recording.manifest import make_manifest
from agent.recording.mixmonitor import MixMonitor
from agent.recording.wideband import CodecCheck, parties
from agent.reporting.settlement import CallSettlement
from fonoteka.core.call_report import Reason
from fonoteka.core.errors import AmiActionFailed, AmiError

LEGS_APPEAR_WITHIN_S: Final = 1.0
EVENTS_ARRIVE_WITHIN_S: Final = 0.05  # the response to an action can overtake earlier events
Spawn = Callable[[Coroutine[Any, Any, None]], None]
_log = structlog.get_logger()


@dataclass(kw_only=True)
class RecorderTasks:
    """`take` folds the event that a task ends with; `beep_every_s` returns a call's beep interval.

    `starting` holds the recordings that are on their way to Asterisk: a second recorder would write
    to the same files; the event is set when the recorder's id is known. `finishing` holds those on
    their way to the mixer: a second task would find the folder gone, and report a shipped recording
    as lost.
    """

    registry: CallRegistry
    settling: CallSettlement
    mixmonitor: MixMonitor
    lifecycle: RecordingLifecycle
    codecs: CodecCheck
    take: Callable[[Event], None]
    beep_every_s: Callable[[Call], int]
    spawn: Spawn
    starting: dict[str, asyncio.Event] = field(default_factory=dict)
    finishing: set[str] = field(default_factory=set)

    def prepare(self, call: Call, segment: str, at: datetime) -> bool:
        """Make the recording's folder. If the disk refuses, the recording is lost."""
        recording, report = call.recording(segment), self.settling.report(call)
        if recording is None or report is None:
            return False
        try:
            self.lifecycle.prepare(make_manifest(segment, recording.user, at, 0, report))
        except OSError as error:
            _log.error("recording.not_prepared", linkedid=call.linkedid, segment=segment, error=str(error))
            reason = Reason.DISK_FULL if error.errno == errno.ENOSPC else Reason.ASTERISK_FAILED
            self.registry.take(RecordingLost(at=at, linkedid=call.linkedid, segment=segment, reason=reason))
            return False
        self.settling.changed(call)
        self.starting[segment] = asyncio.Event()
        return True

    def adopt(self, call: Call, segment: str, away: AwayRecording) -> bool:
        """Move the legs of the dialplan into the recording's folder. Returns False if it fails.

        The journal is written before, so that the next run of the agent would continue here.
        """
        recording, report = call.recording(segment), self.settling.report(call)
        if recording is None or report is None:
            return False
        log = _log.bind(linkedid=call.linkedid, segment=segment)
        try:
            manifest = make_manifest(segment, recording.user, recording.started_at or call.started_at, 0, report)
            self.lifecycle.prepare(manifest, begins=False)
            self.settling.keep(call)
            self.lifecycle.take_over(segment, away.legs)
        except OSError as error:
            log.error("away.not_adopted", error=str(error))
            return False
        self.codecs.legs_are_narrow(segment)
        channel = _channel(call, segment)
        if recording.stage is RecordingStage.RUNNING and channel.ended_at is None:
            self.spawn(self.mixmonitor.adopt(channel.name, segment, by_dialplan=True))
        log.info("away.adopted", user=recording.user, started_at=recording.started_at)
        return True

    def resume(self, call: Call, segment: str) -> None:
        """Start a recorder that has no legs yet; adopt a recorder that an earlier run started."""
        if segment in self.starting:
            return
        channel, by_dialplan = _channel(call, segment), _recording(call, segment).by_dialplan
        if not self.lifecycle.has_legs(segment) and not by_dialplan:
            self.spawn(self.record(call, channel, segment))
        elif not self.mixmonitor.can_stop(segment):
            self.spawn(self.mixmonitor.adopt(channel.name, segment, by_dialplan=by_dialplan))

    async def start(self, call: Call, segment: str) -> None:
        """Start a recorder.

        The journal is written first: after a crash, the agent must not start a second recorder that
        writes to the same files.
        """
        try:
            self.settling.keep(call)
            await self.record(call, _channel(call, segment), segment)
        finally:
            self.starting.pop(segment).set()

    async def restart(self, call: Call, segment: str, replaces: str, at: datetime) -> None:
        """Start a recorder after the recorder that it `replaces` has stopped."""
        try:
            self.settling.keep(call)
            await self.stop_replaced(call, replaces, at)
            await self.mixmonitor.wait_until_buffer_empty(_channel(call, replaces).name)
            await self.record(call, _channel(call, segment), segment)
        finally:
            self.starting.pop(segment).set()

    async def stop_replaced(self, call: Call, segment: str, at: datetime) -> None:
        """Stop a recorder while its talk continues, and finish its recording."""
        recording, channel = _recording(call, segment), _channel(call, segment)
        await self.mixmonitor.try_stop(channel.name, segment, linkedid=call.linkedid)
        self.finish(call, recording, replace(channel, bridged_ms=channel.bridged_ms_until(at)))

    async def stop_idle(self, call: Call, segment: str, at: datetime) -> None:
        """Stop a recorder that may just be starting, and finish its recording."""
        if (start := self.starting.get(segment)) is not None:
            await start.wait()
        now = self.registry.with_recording(segment)
        if now is not None and _recording(now, segment).stage is RecordingStage.ENDING:
            await self.stop_replaced(now, segment, at)

    async def record(self, call: Call, channel: Channel, segment: str) -> None:
        """Start a recorder on a channel; it starts paused if it replaces a paused one."""
        if not await self._ask_asterisk(call, channel, segment):
            await self._record_elsewhere(call, channel, segment)
            return
        self.spawn(self._expect_legs(call, segment))
        recording = call.recording(segment)
        if recording is not None and recording.paused:
            try:
                await self.mixmonitor.mute(channel.name, muted=True)
            except AmiError as error:
                _log.error("recording.not_paused", linkedid=call.linkedid, segment=segment, error=str(error))

    async def _ask_asterisk(self, call: Call, channel: Channel, segment: str) -> bool:
        """Return False if Asterisk refused.

        If there is no answer, the leg files or the next connection will show whether it records.
        """
        log = _log.bind(linkedid=call.linkedid, channel=channel.name, segment=segment)
        wide = bool(await self.codecs.wideband(parties(call, channel)))
        try:
            beep_every_s, hears_user = self.beep_every_s(call), _recording(call, segment).hears_user
            await self.mixmonitor.start(channel.name, segment, wide=wide, beep_every_s=beep_every_s, hears_user=hears_user)
        except AmiActionFailed as error:
            log.warning("recording.refused_by_asterisk", error=str(error))
            return False
        except AmiError as error:
            log.warning("recording.not_confirmed", error=str(error))
        else:
            log.info("recording.asked")
            if not wide:
                self.codecs.legs_are_narrow(segment)
        return True

    async def _record_elsewhere(self, call: Call, refused: Channel, segment: str) -> None:
        """Record on the channel that picked the call up, if the ringing channel ended before.

        Otherwise the recording is lost.
        """
        await asyncio.sleep(EVENTS_ARRIVE_WITHIN_S)
        call = self.registry.with_recording(segment) or call
        recording = call.recording(segment)
        running = recording is not None and recording.stage is RecordingStage.RUNNING
        channel = call.channels[recording.uniqueid] if recording is not None and running else refused
        if channel.uniqueid != refused.uniqueid and channel.ended_at is None:
            await self.record(call, channel, segment)
        else:
            self.take(self.lifecycle.give_up(call, segment))

    async def _expect_legs(self, call: Call, segment: str) -> None:
        """Log an error if Asterisk does not write soon after it confirmed the recorder."""
        await asyncio.sleep(LEGS_APPEAR_WITHIN_S)
        confirmed = self.mixmonitor.can_stop(segment) and self.lifecycle.is_prepared(segment)
        if confirmed and not self.lifecycle.has_legs(segment):
            _log.error("recording.no_legs_yet", linkedid=call.linkedid, segment=segment, hint=NO_LEGS_HINT)

    async def stop(self, call: Call, segment: str, at: datetime, ending: Event) -> None:
        """Stop a recorder while its talk continues, then fold `ending`. Raises AmiError."""
        recording, channel = _recording(call, segment), _channel(call, segment)
        await self.mixmonitor.stop(channel.name, segment)
        self.take(ending)
        call = self.registry.with_recording(segment) or call
        so_far = replace(channel, bridged_ms=channel.bridged_ms_until(at))
        self.finish(call, call.recording(segment) or recording, so_far)

    def finish(self, call: Call, recording: Recording, channel: Channel) -> None:
        """Begin to pass the recording of an ended recorder to the mixer."""
        self.mixmonitor.forget(recording.segment)
        if recording.segment not in self.finishing:
            self.finishing.add(recording.segment)
            self.spawn(self._finish(call, recording, channel))

    async def _finish(self, call: Call, recording: Recording, channel: Channel) -> None:
        try:
            await self._then_take(self.lifecycle.finish(call, recording, channel, self.settling.report(call)))
        finally:
            self.finishing.discard(recording.segment)

    async def discard(self, call: Call, segment: str) -> None:
        """Stop a recorder and delete its audio."""
        recording, channel = _recording(call, segment), _channel(call, segment)
        if recording.by_dialplan and channel.ended_at is None:
            await self.mixmonitor.adopt(channel.name, segment, by_dialplan=True)
        await self.mixmonitor.try_stop(_channel(call, segment).name, segment, linkedid=call.linkedid)
        await self._then_take(self.lifecycle.discard(call, segment))
        self.mixmonitor.forget(segment)

    async def _then_take(self, ending: Awaitable[Event]) -> None:
        """Fold the event with which a recording ends."""
        self.take(await ending)


def _recording(call: Call, segment: str) -> Recording:
    recording = call.recording(segment)
    assert recording is not None, f"{segment} is no recording of this call"
    return recording


def _channel(call: Call, segment: str) -> Channel:
    return call.channels[_recording(call, segment).uniqueid]
