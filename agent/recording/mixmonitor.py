"""Control of Asterisk's recorder: one MixMonitor per recording, two legs, active while bridged.

Option `r` is the file of what the channel's own party says, `t` the file of what it hears. Asterisk
keeps both in step by inserting silence. The options and the measurements behind them are in
docs/decisions/0001-recording.md.
"""

import asyncio
import re
from pathlib import PurePosixPath
from typing import Final

import structlog

from agent.ami.protocol import Ami
from agent.recording.leg_files import EMPLOYEE, OUTSIDE, leg_name
from agent.recording.rtp_restart import STATISTICS
from agent.recording.wideband import GETVAR_TIMEOUT_S
from fonoteka.core.errors import AmiActionFailed, AmiError, ConfigurationError
from fonoteka.core.spool import ItemState

BUFFER_EMPTY_AFTER_S: Final = 0.08  # 60 ms were enough on an idle machine
POLL_EVERY_S: Final = 0.02
_POLLS: Final = 46  # one second in total
_BUFFER_EMPTY_AFTER_PACKETS: Final = 4
_PACKETS: Final = re.compile(r"[rt]xcount=(\d+)")
# Asterisk answers with the recorder's id, and writes it to this channel variable. A recorder is
# stopped by its id, so that other recorders of the channel continue.
ID_VARIABLE: Final = "FONOTEKA_RECORDER"
ID_VARIABLE_OF_DIALPLAN: Final = "FONOTEKA_AWAY_RECORDER"
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_log = structlog.get_logger()


def recorder_options(beep_every_s: int) -> str:
    """Return the options of a recorder that is active while bridged, with a beep if not 0."""
    return f"bB({beep_every_s})" if beep_every_s > 0 else "b"


class MixMonitor:
    """Starts and stops recorders on channels. `spool` is the spool's path as Asterisk sees it."""

    def __init__(self, ami: Ami, spool: PurePosixPath) -> None:
        if not spool.is_absolute() or not set(str(spool)) <= _PLAIN:
            raise ConfigurationError(
                f"pbx.spool_in_asterisk = {str(spool)!r}: must be an absolute path of letters, digits, '_', '-' and '.' "
                "(it travels inside MixMonitor's options)"
            )
        self._ami, self._spool = ami, spool
        self._ids: dict[str, str] = {}

    async def start(
        self, channel: str, segment: str, *, wide: bool = False, beep_every_s: int = 0, hears_user: bool = False
    ) -> None:
        """Record a channel into the folder of `segment`, from the first bridged frame on.

        The legs have 16 kHz if `wide` is set, else 8 kHz. With `beep_every_s`, both parties hear a
        beep when the talk begins and then at this interval; the beep is not in the legs. With
        `hears_user`, the channel is not the user's own: it hears the user. Raises AmiError.
        """
        folder = self._spool / ItemState.RECORDING / segment
        says, hears = (OUTSIDE, EMPLOYEE) if hears_user else (EMPLOYEE, OUTSIDE)
        legs = f"r({folder / leg_name(says, wide=wide)})t({folder / leg_name(hears, wide=wide)})"
        options = f"{recorder_options(beep_every_s)}{legs}i({ID_VARIABLE})"
        answer = await self._ami.action("MixMonitor", Channel=channel, Options=options)
        self._ids[segment] = answer.get("MixMonitorID") or await self._last_id(channel, ID_VARIABLE)

    async def adopt(self, channel: str, segment: str, *, by_dialplan: bool) -> None:
        """Learn the id of a recorder that the dialplan or an earlier run of the agent started.

        Asterisk keeps the id on the channel.
        """
        try:
            self._ids[segment] = await self._last_id(channel, ID_VARIABLE_OF_DIALPLAN if by_dialplan else ID_VARIABLE)
        except AmiError as error:
            _log.warning("recording.not_adopted", channel=channel, segment=segment, error=str(error))

    def can_stop(self, segment: str) -> bool:
        """Return whether the recorder's id is known, so that this recorder alone can be stopped."""
        return bool(self._ids.get(segment))

    async def stop(self, channel: str, segment: str) -> None:
        """Stop the recorder of `segment` and no other recorder of the channel. Raises AmiError."""
        if not self.can_stop(segment):
            raise AmiActionFailed(f"the recorder of {segment} is not known")
        await self._ami.action("StopMixMonitor", Channel=channel, MixMonitorID=self._ids[segment])

    async def try_stop(self, channel: str, segment: str, *, linkedid: str) -> None:
        """Stop a recorder. If that fails, the recorder ends with its channel."""
        try:
            await self.stop(channel, segment)
        except AmiError as error:
            _log.warning("recording.not_stopped", linkedid=linkedid, segment=segment, error=str(error))

    def forget(self, segment: str) -> None:
        """Drop the id of a recorder that has ended."""
        self._ids.pop(segment, None)

    async def mute(self, channel: str, *, muted: bool) -> None:
        """Make all recorders of a channel write silence, or sound again. Raises AmiError.

        MixMonitorMute cannot address a single recorder.
        """
        await self._ami.action("MixMonitorMute", Channel=channel, Direction="both", State="1" if muted else "0")

    async def wait_until_buffer_empty(self, channel: str) -> None:
        """Wait until Asterisk has dropped the audio that a stopped recorder had heard.

        Otherwise the next recorder would get this audio. Asterisk drops it once audio passes
        without a recorder, usually two frames later; a busy Asterisk may pass none for a while. If
        Asterisk gives no packet counts, wait the usual time. The wait never exceeds one second: a
        channel on which no audio passes loses none.
        """
        before = await self._passed(channel)
        await asyncio.sleep(BUFFER_EMPTY_AFTER_S)
        for _ in range(_POLLS):
            now = await self._passed(channel)
            if before is None or now is None or now >= before + _BUFFER_EMPTY_AFTER_PACKETS:
                return
            await asyncio.sleep(POLL_EVERY_S)

    async def _last_id(self, channel: str, variable: str) -> str:
        """Return the id of the recorder last started on a channel, or an empty string."""
        answer = await self._ami.action("Getvar", Channel=channel, Variable=variable)
        return answer.get("Value", "")

    async def _passed(self, channel: str) -> int | None:
        """Return the number of RTP packets from and to a channel.

        None means that the channel has no RTP or has ended.
        """
        try:
            answer = await self._ami.action("Getvar", GETVAR_TIMEOUT_S, Channel=channel, Variable=STATISTICS)
        except AmiError:
            return None
        counts = _PACKETS.findall(answer.get("Value", ""))
        return sum(map(int, counts)) if counts else None
