"""Telling Asterisk to record: one MixMonitor per segment, two legs, saved only while bridged.

`r` is what the channel's own party says, `t` what it hears; Asterisk keeps both in step with inserted silence. The
options and the measurements behind them are in docs/decisions/0001-recording.md.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, Protocol

from agent.recording.leg_files import EMPLOYEE, OUTSIDE, leg_name
from agent.recording.rtp_restart import STATISTICS
from agent.recording.wideband import is_wide
from fonoteka.core.errors import AmiError, ConfigurationError
from fonoteka.core.spool import ItemState

_GETVAR_WITHIN_S: Final = 1.0  # the first word must not wait for an answer that tells only about quality
FORGETS_AFTER_S: Final = 0.08  # 60 ms were enough on a machine with nothing else to do
LOOK_EVERY_S: Final = 0.02
_LOOKS: Final = 46  # a second in all
_FORGETS_AFTER_PACKETS: Final = 4
_PACKETS: Final = re.compile(r"[rt]xcount=(\d+)")
ID_VARIABLE: Final = "FONOTEKA_RECORDER"  # a channel variable: by its id a recorder is stopped, and no other of the channel
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")


class Ami(Protocol):
    """What of the AMI client the recorder needs."""

    async def action(self, name: str, /, timeout_s: float = 5, **headers: str) -> Mapping[str, str]:
        """Send an action, return its answer; raises AmiError."""


class MixMonitor:
    """Starts recordings on channels. `spool` is the folder as Asterisk sees it."""

    def __init__(self, ami: Ami, spool: PurePosixPath) -> None:
        if not spool.is_absolute() or not set(str(spool)) <= _PLAIN:
            raise ConfigurationError(
                f"pbx.spool_in_asterisk = {str(spool)!r}: must be an absolute path of letters, digits, '_', '-' and '.' "
                "(it travels inside MixMonitor's options)"
            )
        self._ami = ami
        self._spool = spool

    async def start(self, channel: str, segment: str, *, parties: Sequence[str] = (), beep_every_s: int = 0) -> tuple[str, bool]:
        """Record a channel into the item's folder from the first bridged frame on. Raises AmiError.

        Returns the recorder's id, and whether its legs are wideband.

        The legs are of 16 kHz if one of `parties` (channels) can talk wideband. With `beep_every_s` both parties hear a beep as the
        talk begins and every so many seconds; it is not in the legs.
        """
        folder, wide = self._spool / ItemState.RECORDING / segment, bool(await self.wideband(parties))
        beep = f"B({beep_every_s})" if beep_every_s > 0 else ""
        options = f"b{beep}r({folder / leg_name(EMPLOYEE, wide=wide)})t({folder / leg_name(OUTSIDE, wide=wide)})i({ID_VARIABLE})"
        await self._ami.action("MixMonitor", Channel=channel, Options=options)
        return await self.running_on(channel), wide

    async def running_on(self, channel: str) -> str:
        """The id of the recorder that was last begun on a channel; empty if none was. Raises AmiError."""
        answer = await self._ami.action("Getvar", Channel=channel, Variable=ID_VARIABLE)
        return answer.get("Value", "")

    async def mute(self, channel: str, *, muted: bool) -> None:
        """Have all recorders of a channel write silence, or sound again: the action knows no single one. Raises AmiError."""
        await self._ami.action("MixMonitorMute", Channel=channel, Direction="both", State="1" if muted else "0")

    async def wideband(self, channels: Sequence[str]) -> bool | None:
        """Whether any of the channels talks wideband (before the answer: can talk it); None if Asterisk does not say of all.

        All are asked at once: where people talk already, each answer waited for is a word that is lost.
        """
        told = await asyncio.gather(*(self._formats(channel) for channel in channels))
        if any(is_wide(formats) for formats in told if formats is not None):
            return True
        return None if None in told else False

    async def _formats(self, channel: str) -> str | None:
        try:
            answer = await self._ami.action("Getvar", _GETVAR_WITHIN_S, Channel=channel, Variable="CHANNEL(audionativeformat)")
        except AmiError:  # it is gone, or Asterisk is busy
            return None
        return answer.get("Value", "")

    async def stop(self, channel: str, recorder_id: str) -> None:
        """Stop this recorder of a channel, and no other. Raises AmiError."""
        await self._ami.action("StopMixMonitor", Channel=channel, MixMonitorID=recorder_id)

    async def forgotten(self, channel: str) -> None:
        """Wait until Asterisk has forgotten what a recorder that was stopped has heard: sound has passed, and nobody recorded it.

        Usually that is a matter of two frames; a busy Asterisk may pass none for a while. Where it does not say, the usual time is
        waited, and never more than a second: what passes no sound loses none.
        """
        before = await self._passed(channel)
        await asyncio.sleep(FORGETS_AFTER_S)
        for _ in range(_LOOKS):
            now = await self._passed(channel)
            if before is None or now is None or now >= before + _FORGETS_AFTER_PACKETS:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _passed(self, channel: str) -> int | None:
        """How many RTP packets have come from a channel and gone to it; None where it has no RTP, or is gone."""
        try:
            answer = await self._ami.action("Getvar", _GETVAR_WITHIN_S, Channel=channel, Variable=STATISTICS)
        except AmiError:
            return None
        counts = _PACKETS.findall(answer.get("Value", ""))
        return sum(map(int, counts)) if counts else None
