"""The folder of a recording in the spool, from its preparation until it is passed to the mixer.

The leg files decide what becomes of a recording, not the events of the call: audio is never removed
here, except where a recording is discarded.
"""

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.calls.call_state import Call, Channel, Recording, RecordingStage
from agent.calls.events import RecordingClosed, RecordingDone, RecordingEvent, RecordingLost
from agent.recording.disk_floor import DiskFloor
from agent.recording.leg_files import EMPLOYEE, OUTSIDE, audio_ms, leg_name, legs_in
from agent.recording.leg_watch import LegWatch
from agent.recording.manifest import make_manifest
from agent.recording.wideband import CodecCheck
from fonoteka.core.backoff import Backoff
from fonoteka.core.call_report import CallReport, Reason
from fonoteka.core.errors import SpoolError
from fonoteka.core.manifest import Manifest, read_manifest, write_manifest
from fonoteka.core.spool import ItemState, Spool, share_with_group
from fonoteka.core.spool_lock import SpoolLock

NO_LEGS_HINT: Final = "Asterisk writes no leg file: is pbx.spool_in_asterisk the folder pbx.spool as Asterisk sees it?"
_LACKS_MS: Final = 500
_log = structlog.get_logger()


class RecordingLifecycle:
    """The recordings of one spool. Methods that end a recording return the event that says so.

    They raise SpoolTaken if another agent has replaced `lock`: the recordings are that agent's.
    """

    def __init__(
        self, spool: Spool, legs: LegWatch, codecs: CodecCheck, *, floor_bytes: int = 0, lock: SpoolLock | None = None
    ) -> None:
        self._spool, self._legs, self._codecs, self._lock = spool, legs, codecs, lock
        self._floor = DiskFloor(folder=spool.root, floor_bytes=floor_bytes)
        self._of_earlier_run = set[str]()

    def prepare(self, manifest: Manifest, *, begins: bool = True) -> None:
        """Create the recording's folder with a first manifest and watch it, before Asterisk writes.

        Raises OSError, also if the disk is almost full and the recording only `begins`.
        """
        if begins:
            self._floor.check(manifest.name, manifest.call)
        recording_folder = self._folder(manifest.name)
        recording_folder.mkdir(exist_ok=True)
        share_with_group(recording_folder)
        write_manifest(recording_folder, manifest, sync=False)
        self._legs.add(recording_folder)

    def watch(self, segment: str) -> None:
        """Watch a recording that an earlier run of the agent started."""
        self._of_earlier_run.add(segment)
        if self._folder(segment).is_dir():
            self._legs.add(self._folder(segment))

    def take_over(self, segment: str, legs: Mapping[str, Path]) -> None:
        """Move legs (by side) into the recording's folder, while Asterisk writes to them.

        Raises OSError.
        """
        for side, leg in legs.items():
            with suppress(FileNotFoundError):  # moved by an attempt before, or deleted by somebody
                leg.rename(self._folder(segment) / leg_name(side))

    def is_prepared(self, segment: str) -> bool:
        """Return whether the recording's folder is there."""
        return self._folder(segment).is_dir()

    def has_legs(self, segment: str) -> bool:
        """Return whether Asterisk has begun to write."""
        return bool(legs_in(self._folder(segment)))

    def last_written(self, call: Call) -> datetime | None:
        """Return when Asterisk last wrote to a running recording of the call, or None."""
        running = (recording.segment for recording in call.recordings if recording.stage is RecordingStage.RUNNING)
        return max((at for segment in running if (at := self._last_written(segment)) is not None), default=None)

    def give_up(self, call: Call, segment: str) -> RecordingEvent:
        """Remove the folder of a recording that Asterisk refused to start."""
        self._remove(segment)
        return RecordingLost(at=datetime.now(UTC), linkedid=call.linkedid, segment=segment, reason=Reason.ASTERISK_FAILED)

    async def discard(self, call: Call, segment: str) -> RecordingEvent:
        """Delete a recording with its audio, after its recorder was stopped.

        If Asterisk continues to write, it writes to files that are already unlinked.
        """
        recording_folder = self._folder(segment)
        await self._legs.complete(recording_folder)
        self._legs.forget(recording_folder)
        self._codecs.finish(segment)
        self._check_lock()
        await asyncio.to_thread(shutil.rmtree, recording_folder, ignore_errors=True)
        _log.info("recording.discarded", linkedid=call.linkedid, segment=segment)
        return RecordingDone(at=datetime.now(UTC), linkedid=call.linkedid, segment=segment)

    async def finish(self, call: Call, recording: Recording, channel: Channel, report: CallReport | None) -> RecordingEvent:
        """Wait for both legs of an ended recorder, then pass them to the mixer or remove them.

        Repeats while the disk refuses. After a restart of the agent the recording may already have
        left this folder.
        """
        backoff, disk_was_full = Backoff(), self._floor.is_exhausted()
        while True:
            try:
                return await self._finish(call, recording, channel, report, disk_was_full)
            except OSError as error:
                wait_s = backoff.next_s()
                _log.error("recording.not_handed_over", segment=recording.segment, error=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _finish(
        self, call: Call, recording: Recording, channel: Channel, report: CallReport | None, disk_was_full: bool
    ) -> RecordingEvent:
        segment, linkedid, now = recording.segment, call.linkedid, datetime.now(UTC)
        recording_folder, log = self._folder(segment), _log.bind(linkedid=linkedid, segment=segment)
        if self.has_moved_on(segment):
            return RecordingClosed(at=now, linkedid=linkedid, segment=segment, started_at=recording.started_at)
        all_closed = await self._legs.complete(recording_folder)
        self._check_lock()
        self._legs.forget(recording_folder)
        heard_ms = audio_ms(recording_folder)
        if not heard_ms:
            return self._without_audio(call, recording, disk_was_full)
        if not all_closed:
            log.warning("recording.close_not_seen")
        started_at = recording.started_at or (self._last_written(segment) or now) - timedelta(milliseconds=heard_ms)
        try:
            manifest = self._manifest(recording_folder, recording, channel, report, started_at, heard_ms)
        except SpoolError as error:
            self._leave_to_mixer(recording_folder, error)
            return RecordingClosed(at=now, linkedid=linkedid, segment=segment, started_at=started_at)
        await asyncio.to_thread(self._hand_over, recording_folder, manifest)
        log.info("recording.closed", user=recording.user, talk_ms=manifest.talk_ms)
        reason = Reason.DISK_FULL if disk_was_full and manifest.talk_ms - heard_ms > _LACKS_MS else None
        return RecordingClosed(at=now, linkedid=linkedid, segment=segment, started_at=started_at, reason=reason)

    def _without_audio(self, call: Call, recording: Recording, disk_was_full: bool) -> RecordingEvent:
        """Remove a recording whose legs are empty. A telephone that only rang leaves such legs."""
        segment, linkedid, now = recording.segment, call.linkedid, datetime.now(UTC)
        reason = Reason.NO_AUDIO if self.has_legs(segment) else Reason.ASTERISK_FAILED
        if disk_was_full:
            reason = Reason.DISK_FULL
        elif reason is Reason.ASTERISK_FAILED and segment in self._of_earlier_run:
            reason = Reason.AGENT_WAS_DOWN  # it died before it asked Asterisk for the recorder
        self._remove(segment)
        if recording.started_at is None:
            return RecordingDone(at=now, linkedid=linkedid, segment=segment)
        _log.error("recording.empty", linkedid=linkedid, segment=segment, reason=reason, hint=NO_LEGS_HINT)
        return RecordingLost(at=now, linkedid=linkedid, segment=segment, reason=reason)

    def orphans(self, journalled: frozenset[str]) -> list[Path]:
        """Return the folders in `recording/` that belong to no recording of the journal."""
        return [folder for folder in self._spool.items(ItemState.RECORDING) if folder.name not in journalled]

    async def take_up(self, recording_folder: Path) -> None:
        """Pass an orphan to the mixer once nothing writes to it, with its first manifest.

        After a crash of the machine the manifest may be cut off: the mixer sets the orphan aside.
        Repeats while the disk refuses.
        """
        backoff = Backoff()
        while True:
            try:
                return await self._take_up(recording_folder)
            except OSError as error:
                wait_s = backoff.next_s()
                _log.error("orphan.not_handed_over", segment=recording_folder.name, error=str(error), retry_in_s=round(wait_s, 1))
                await asyncio.sleep(wait_s)

    async def _take_up(self, recording_folder: Path) -> None:
        is_closed = await self._legs.complete(recording_folder)
        self._check_lock()
        if is_closed:
            self._legs.forget(recording_folder)
        if not audio_ms(recording_folder):
            self._remove(recording_folder.name)
            return
        try:
            manifest = await asyncio.to_thread(read_manifest, recording_folder)
        except SpoolError as error:
            self._leave_to_mixer(recording_folder, error)
            return
        _log.warning("orphan.taken_up", segment=recording_folder.name, linkedid=manifest.call.linkedid)
        await asyncio.to_thread(self._hand_over, recording_folder, manifest)

    def has_moved_on(self, segment: str) -> bool:
        """Return whether the recording was passed to the mixer and is still in the spool."""
        if self._folder(segment).is_dir():
            return False
        later = (ItemState.CLOSED, ItemState.MIXING, ItemState.MIXED, ItemState.REJECTED)
        return any((self._spool.folder(state) / segment).is_dir() for state in later)

    def _manifest(
        self,
        recording_folder: Path,
        recording: Recording,
        channel: Channel,
        report: CallReport | None,
        started_at: datetime,
        heard_ms: int,
    ) -> Manifest:
        talk_ms = channel.bridged_ms - recording.bridged_before_ms if recording.started_at is not None else heard_ms
        # Where no domain is known any more, the report is the one with which the recording began.
        report = report or read_manifest(recording_folder).call
        made = make_manifest(recording.segment, recording.user, started_at, max(0, talk_ms), report, muted=recording.muted)
        return replace(made, talked_hz=self._codecs.finish(recording.segment))

    def _hand_over(self, recording_folder: Path, manifest: Manifest) -> None:
        legs = legs_in(recording_folder)
        for leg in legs.values():
            with leg.open("rb") as file:
                os.fsync(file.fileno())
        outside, employee = (legs[side].name if side in legs else leg_name(side) for side in (OUTSIDE, EMPLOYEE))
        write_manifest(recording_folder, replace(manifest, outside_leg=outside, employee_leg=employee))
        self._spool.move(recording_folder, ItemState.CLOSED)

    def _leave_to_mixer(self, recording_folder: Path, error: SpoolError) -> None:
        """Pass on a recording whose manifest is broken: the mixer sets it aside, with its audio."""
        _log.error("manifest.unreadable", segment=recording_folder.name, reason=str(error))
        self._spool.move(recording_folder, ItemState.CLOSED)

    def _last_written(self, segment: str) -> datetime | None:
        times: list[float] = []
        for leg in legs_in(self._folder(segment)).values():
            with suppress(FileNotFoundError):  # a thread passes the folder to the mixer
                times.append(leg.stat().st_mtime)
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def _remove(self, segment: str) -> None:
        """Remove a folder without audio. Its few small files are not worth a thread."""
        recording_folder = self._folder(segment)
        self._codecs.finish(segment)
        self._legs.forget(recording_folder)
        if not audio_ms(recording_folder):
            with suppress(FileNotFoundError):
                shutil.rmtree(recording_folder)

    def _check_lock(self) -> None:
        if self._lock is not None:
            self._lock.check()

    def _folder(self, segment: str) -> Path:
        return self._spool.folder(ItemState.RECORDING) / segment
