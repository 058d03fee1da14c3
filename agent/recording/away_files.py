"""The legs that the dialplan recorded while the agent was away: files in `away/` of the spool.

The name of a file tells its call: `LINKEDID_UNIQUEID_0_WAY_SIDE.wav`. The ids are those of Asterisk
without other characters than letters, digits, `.` and `-`; `WAY` is `in` for a telephone that was
rung, `out` for a telephone that dialled. The files stay here until their call is known.
"""

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from agent.recording.away import FOLDER, IN, Heartbeat
from agent.recording.leg_files import audio_ms_of
from fonoteka.core.spool import Spool, share_with_group

# A telephone that only rang leaves legs without audio; a talk is written every two seconds.
_EMPTY_AFTER_S: Final = 600.0
_NAME: Final = re.compile(r"([A-Za-z0-9.-]+)_([A-Za-z0-9.-]+)_0_(in|out)_(employee|outside)\.wav")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9.-]+")
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class AwayRecording:
    """A recording that the dialplan made on a channel. `legs` are the files by side."""

    linkedid: str
    uniqueid: str
    way: str
    legs: dict[str, Path] = field(default_factory=dict)

    @property
    def rung(self) -> bool:
        """Whether the recorded telephone was rung; otherwise it dialled."""
        return self.way == IN

    def is_of(self, uniqueid: str) -> bool:
        """Return whether a channel is the recorded one; its name in the file lacks characters."""
        return _NOT_IN_NAMES.sub("", uniqueid) == self.uniqueid

    @property
    def talk_began_at(self) -> datetime | None:
        """When the talk began: the last write minus the audio so far. None without audio."""
        for leg in self.legs.values():
            with suppress(FileNotFoundError):
                if heard_ms := audio_ms_of(leg):
                    return datetime.fromtimestamp(leg.stat().st_mtime, UTC) - timedelta(milliseconds=heard_ms)
        return None


class AwayFiles:
    """The recordings in `away/` whose call is not known yet.

    Without a `heartbeat` the dialplan does not record; there may be files of earlier times.
    """

    def __init__(self, spool: Spool, heartbeat: Heartbeat | None = None) -> None:
        self._folder, self._heartbeat = spool.root / FOLDER, heartbeat
        self._waiting: dict[str, AwayRecording] = {}
        self._logged = 0

    def prepare(self) -> None:
        """Make the folder. Raises OSError."""
        if not self._folder.is_dir():
            self._folder.mkdir()
            share_with_group(self._folder)

    def scan(self) -> None:
        """Read the folder. Legs without audio to which nothing is written any more are removed."""
        try:
            self._waiting = self._read()
        except OSError as error:
            _log.error("away.not_read", folder=str(self._folder), error=str(error))

    def _read(self) -> dict[str, AwayRecording]:
        found: dict[str, AwayRecording] = {}
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if (name := _NAME.fullmatch(path.name)) is None or path.is_symlink() or not path.is_file():
                continue
            linkedid, uniqueid, way, side = name.groups()
            recording = found.setdefault(uniqueid, AwayRecording(linkedid=linkedid, uniqueid=uniqueid, way=way))
            recording.legs[side] = path
        for uniqueid in [uniqueid for uniqueid, recording in found.items() if _is_empty(recording)]:
            for leg in found.pop(uniqueid).legs.values():
                leg.unlink(missing_ok=True)
        return found

    def scan_if_dialplan_records(self) -> None:
        """Read the folder if the heartbeat does not reach Asterisk although it is connected."""
        if self._heartbeat is not None and not self._heartbeat.fresh:
            self.scan()

    def of_channels(self, uniqueids: Iterable[str]) -> list[AwayRecording]:
        """Return the recordings that wait for one of these channels."""
        if not self._waiting:
            return []
        waiting = (self._waiting.get(_NOT_IN_NAMES.sub("", uniqueid)) for uniqueid in uniqueids)
        return [recording for recording in waiting if recording is not None]

    def is_waiting(self, recording: AwayRecording) -> bool:
        """Return whether the files of a recording are still to be moved."""
        return recording.uniqueid in self._waiting

    def taken(self, recording: AwayRecording) -> None:
        """Forget a recording whose files have left the folder."""
        self._waiting.pop(recording.uniqueid, None)

    def log_waiting(self) -> None:
        """Log how many recordings wait for their call, if the number has changed."""
        waiting = [recording for recording in self._waiting.values() if recording.talk_began_at is not None]
        if len(waiting) != self._logged:
            self._logged = len(waiting)
            linkedids = sorted({recording.linkedid for recording in waiting})[:10]
            _log.warning("away.waiting", recordings=len(waiting), linkedids=linkedids, folder=str(self._folder))


def _is_empty(recording: AwayRecording) -> bool:
    stats = [leg.stat() for leg in recording.legs.values()]
    quiet_s = time.time() - max(stat.st_mtime for stat in stats)
    return quiet_s > _EMPTY_AFTER_S and not any(audio_ms_of(leg) for leg in recording.legs.values())
