"""The life of a recording on this side of the mixer: asked for, watched, closed, handed over — or told why not.

What lies in the files decides, not what was heard of the call: audio is never removed here, however it came about.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.calls.call_state import Call, Channel, Mute, Recording, RecordingStage
from agent.calls.events import Event, RecordingClosed, RecordingDone, RecordingLost
from agent.calls.talk_groups import heard_by
from agent.recording.leg_files import EMPLOYEE, NARROWBAND_HZ, OUTSIDE, WIDEBAND_HZ, audio_ms, leg_name, legs_in
from agent.recording.leg_watch import LegWatch
from agent.recording.mixmonitor import MixMonitor
from agent.recording.wideband import parties
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import CallReport, MutedSpan, Reason
from fonoteka.core.errors import AmiActionFailed, AmiError, SpoolError
from fonoteka.core.manifest import MANIFEST_VERSION, Manifest, read_manifest, write_manifest
from fonoteka.core.spool import ItemState, Spool

LEGS_APPEAR_WITHIN_S: Final = 1.0
NO_LEGS_HINT: Final = "Asterisk writes no leg file: is pbx.spool_in_asterisk the folder pbx.spool as Asterisk sees it?"
_log = structlog.get_logger()


class RecordingLifecycle:
    """Performs what was decided. `tell` takes the events that say what became of it."""

    def __init__(self, spool: Spool, recorder: MixMonitor, legs: LegWatch, tell: Callable[[Event], None]) -> None:
        self._spool, self._recorder, self._legs, self._tell = spool, recorder, legs, tell
        self._recorder_ids: dict[str, str] = {}
        self._talked_hz: dict[str, int] = {}
        self._narrow: set[str] = set()

    def prepare(self, paper: Manifest) -> None:
        """Make the item's folder with a first manifest and watch it, before Asterisk is told. Raises OSError."""
        item = self._item(paper.name)
        item.mkdir(exist_ok=True)
        item.chmod(0o2770)  # Asterisk writes here by the spool's group, whatever our umask
        write_manifest(item, paper, sync=False)
        self._legs.add(item)

    def watch(self, segment: str) -> None:
        """Watch a recording that an earlier run began."""
        if self._item(segment).is_dir():
            self._legs.add(self._item(segment))

    def has_legs(self, segment: str) -> bool:
        """Whether Asterisk has begun to write."""
        return bool(legs_in(self._item(segment)))

    def last_written(self, segment: str) -> datetime | None:
        """When Asterisk last wrote to a recording that is not finished; None if there is nothing of it."""
        times = [leg.stat().st_mtime for leg in legs_in(self._item(segment)).values()]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    async def start(self, call: Call, channel: Channel, segment: str, *, beep_every_s: int = 0) -> bool:
        """Have Asterisk record; False if it refuses. A doubt (no answer, no link) is cleared by the files or by asking again."""
        log = _log.bind(linkedid=call.linkedid, channel=channel.name, segment=segment)
        try:
            self._recorder_ids[segment], wide = await self._recorder.start(
                channel.name, segment, parties=parties(call, channel), beep_every_s=beep_every_s
            )
        except AmiActionFailed as error:
            log.warning("recording.refused_by_asterisk", error=str(error))
            return False
        except AmiError as error:
            log.warning("recording.unsure", error=str(error))
        else:
            log.info("recording.asked")
            if not wide:
                self._narrow.add(segment)
        return True

    def refused(self, call: Call, segment: str) -> None:
        """Nothing can be recorded: give up what was prepared, and tell."""
        self._remove(segment)
        self._tell(RecordingLost(at=datetime.now(UTC), linkedid=call.linkedid, segment=segment, reason=Reason.ASTERISK_FAILED))

    async def expect_legs(self, call: Call, segment: str) -> None:
        """Tell when Asterisk has not begun to write soon after it said that it would."""
        await asyncio.sleep(LEGS_APPEAR_WITHIN_S)
        if self._recorder_ids.get(segment) and self._item(segment).is_dir() and not self.has_legs(segment):
            _log.error("recording.no_legs_yet", linkedid=call.linkedid, segment=segment, hint=NO_LEGS_HINT)

    async def listen(self, call: Call) -> None:
        """Now that people talk, ask in which codecs: while it rang it was only known which ones they can.

        Where legs are narrowband there is nothing to ask.
        """
        for known in call.recordings:
            channel = call.channels[known.uniqueid]
            if known.stage is not RecordingStage.RUNNING or known.segment in self._narrow or channel.conference:
                continue
            if not heard_by(call, known.uniqueid):
                continue
            wide = await self._recorder.wideband(parties(call, channel))
            if wide is not None and self._talked_hz.get(known.segment) != WIDEBAND_HZ:
                self._talked_hz[known.segment] = WIDEBAND_HZ if wide else NARROWBAND_HZ

    def can_stop(self, segment: str) -> bool:
        """Whether we know the recorder well enough to stop it and no other."""
        return bool(self._recorder_ids.get(segment))

    async def adopt(self, channel: Channel, segment: str) -> None:
        """Learn the id of a recorder that an earlier run began: Asterisk keeps it on the channel."""
        try:
            self._recorder_ids[segment] = await self._recorder.running_on(channel.name)
        except AmiError as error:
            _log.warning("recording.not_adopted", channel=channel.name, segment=segment, error=str(error))

    async def stop(self, channel: Channel, segment: str) -> None:
        """Have Asterisk close a recording, and no other of the channel. Raises AmiError."""
        if not self.can_stop(segment):
            raise AmiActionFailed(f"the recorder of {segment} is not known")
        await self._recorder.stop(channel.name, self._recorder_ids[segment])

    async def try_stop(self, call: Call, channel: Channel, segment: str) -> None:
        """The same where it may fail: then the end of the channel will close it."""
        try:
            await self.stop(channel, segment)
        except AmiError as error:
            _log.warning("recording.not_stopped", linkedid=call.linkedid, segment=segment, error=str(error))

    async def forgotten(self, channel: Channel) -> None:
        """Wait until a recorder that was let go is nothing to the next one."""
        await self._recorder.forgotten(channel.name)

    async def mute(self, channel: Channel, *, muted: bool) -> None:
        """Have Asterisk write silence, or sound again. Raises AmiError."""
        await self._recorder.mute(channel.name, muted=muted)

    async def discard(self, call: Call, recording: Recording, channel: Channel) -> None:
        """Stop a recording that nobody's setting asks for any more, and throw its audio away.

        Where Asterisk goes on writing, it writes to files that have no name any more.
        """
        segment = recording.segment
        await self.try_stop(call, channel, segment)
        item = self._item(segment)
        await self._legs.complete(item)
        self._legs.forget(item)
        self._recorder_ids.pop(segment, None)
        self._narrow.discard(segment)
        await asyncio.to_thread(shutil.rmtree, item, ignore_errors=True)
        _log.info("recording.discarded", linkedid=call.linkedid, segment=segment)
        self._tell(RecordingDone(at=datetime.now(UTC), linkedid=call.linkedid, segment=segment))

    async def finish(self, call: Call, recording: Recording, channel: Channel, report: CallReport | None) -> None:
        """Once the channel is gone: wait for both legs, then hand the item to the mixer, or clean up and say why.

        Tried again for as long as the disk refuses. After a restart the item may be further on its way already, or gone.
        """
        backoff = Backoff()
        while True:
            try:
                self._tell(await self._finished(call, recording, channel, report))
            except OSError as error:
                wait_s = backoff.next_s()
                _log.error("recording.not_handed_over", segment=recording.segment, error=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)
            else:
                return

    async def _finished(self, call: Call, recording: Recording, channel: Channel, report: CallReport | None) -> Event:
        segment, linkedid, now = recording.segment, call.linkedid, datetime.now(UTC)
        item, log = self._item(segment), _log.bind(linkedid=linkedid, segment=segment)
        self._recorder_ids.pop(segment, None)
        self._narrow.discard(segment)
        if self.is_further_on(segment):
            return RecordingClosed(at=now, linkedid=linkedid, segment=segment, started_at=recording.started_at)
        all_closed = await self._legs.complete(item)
        self._legs.forget(item)
        heard_ms = audio_ms(item)
        if not heard_ms:
            if recording.started_at is None:
                self._remove(segment)
                return RecordingDone(at=now, linkedid=linkedid, segment=segment)
            reason = Reason.NO_AUDIO if self.has_legs(segment) else Reason.ASTERISK_FAILED
            log.error("recording.empty", reason=reason, hint=NO_LEGS_HINT)
            self._remove(segment)
            return RecordingLost(at=now, linkedid=linkedid, segment=segment, reason=reason)
        if not all_closed:
            log.warning("recording.close_not_seen")
        started_at = recording.started_at or (self.last_written(segment) or now) - timedelta(milliseconds=heard_ms)
        paper = self._paper(item, recording, channel, report, started_at, heard_ms)
        await asyncio.to_thread(self._hand_over, item, paper)
        log.info("recording.closed", user=recording.user, talk_ms=paper.talk_ms)
        return RecordingClosed(at=now, linkedid=linkedid, segment=segment, started_at=started_at)

    def orphans(self, claimed: frozenset[str]) -> list[Path]:
        """Items in `recording/` that no call of the journal knows."""
        return [item for item in self._spool.items(ItemState.RECORDING) if item.name not in claimed]

    async def take_up(self, item: Path) -> None:
        """Hand over an orphan once nobody writes to it any more, by the manifest it was begun with."""
        if await self._legs.complete(item):
            self._legs.forget(item)
        if not audio_ms(item):
            self._remove(item.name)
            return
        try:
            paper = read_manifest(item)
        except SpoolError as error:
            _log.error("recording.orphan", item=str(item), error=str(error), hint="kept where it is, with its audio")
            return
        _log.warning("recording.orphan_taken_up", segment=item.name, linkedid=paper.call.linkedid)
        await asyncio.to_thread(self._hand_over, item, paper)

    def _paper(
        self, item: Path, recording: Recording, channel: Channel, report: CallReport | None, started_at: datetime, heard_ms: int
    ) -> Manifest:
        talk_ms = channel.bridged_ms - recording.bridged_before_ms if recording.started_at is not None else heard_ms
        call = report or read_manifest(item).call  # no company can be named any more: as it was when the recording began
        paper = manifest(recording.segment, recording.user, started_at, max(0, talk_ms), call, muted=recording.muted)
        return replace(paper, talked_hz=self._talked_hz.pop(recording.segment, None))

    def _hand_over(self, item: Path, paper: Manifest) -> None:
        legs = legs_in(item)
        for leg in legs.values():
            with leg.open("rb") as file:
                os.fsync(file.fileno())
        outside, employee = (legs[side].name if side in legs else leg_name(side) for side in (OUTSIDE, EMPLOYEE))
        write_manifest(item, replace(paper, outside_leg=outside, employee_leg=employee))
        self._spool.move(item, ItemState.CLOSED)

    def is_further_on(self, segment: str) -> bool:
        """Whether the item left this side of the mixer, and is in the spool still."""
        if self._item(segment).is_dir():
            return False
        later = (ItemState.CLOSED, ItemState.MIXING, ItemState.MIXED, ItemState.REJECTED)
        return any((self._spool.folder(state) / segment).is_dir() for state in later)

    def _remove(self, segment: str) -> None:
        """Remove an item without audio; its few small files are no work worth a thread."""
        item = self._item(segment)
        self._legs.forget(item)
        if not audio_ms(item):
            with suppress(FileNotFoundError):
                shutil.rmtree(item)

    def _item(self, segment: str) -> Path:
        return self._spool.folder(ItemState.RECORDING) / segment


def manifest(
    segment: str, user: str, started_at: datetime, talk_ms: int, call: CallReport, *, muted: Sequence[Mute] = ()
) -> Manifest:
    """The paper that goes with the legs, whose names are set right when they are handed over.

    What is paused still is so until the end of the talk.
    """
    spans = (MutedSpan(from_ms=one.from_ms, to_ms=max(one.from_ms, talk_ms if one.to_ms is None else one.to_ms)) for one in muted)
    return Manifest(
        version=MANIFEST_VERSION,
        name=segment,
        user=user,
        started_at=started_at,
        talk_ms=talk_ms,
        outside_leg=leg_name(OUTSIDE),
        employee_leg=leg_name(EMPLOYEE),
        muted=tuple(spans),
        call=call,
    )
