"""Telephones for the lab that are called: they answer, refuse, ring on, forward.

Every telephone has a tone of its own (or an audio file), so that a recording's spectrum tells who
is on which leg.
"""

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from lab.asterisk.addresses import free_port
from lab.asterisk.server import LabAsterisk
from lab.audio.tones import tone
from lab.base.errors import LabError
from lab.sip.registration import register
from lab.sip.sipp import SipCall, Sipp

OUTSIDE: Final = "outside"  # who answers what goes out by the trunk
CALLER_HZ: Final = 440
PHONE_HZ: Final = 880
OUTSIDE_HZ: Final = 1240
_UNTIL_THE_OTHER_MS: Final = 4 * 3600 * 1000


class Behaviour(StrEnum):
    """What a telephone does when it is called.

    `ABSENT`: switched off; `UNREACHABLE`: the PBX thinks it is on.
    """

    ANSWER = "answer"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REFUSE = "refuse"
    UNAVAILABLE = "unavailable"
    FORWARD = "forward"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"


REFUSALS: Final = {
    Behaviour.BUSY: "486 Busy Here",
    Behaviour.REFUSE: "603 Decline",
    Behaviour.UNAVAILABLE: "480 Temporarily Unavailable",
    Behaviour.FORWARD: "302 Moved Temporarily",
}


class Phone:
    """A telephone that is switched on."""

    def __init__(self, sipp: Sipp) -> None:
        self._sipp = sipp

    @property
    def calls(self) -> list[SipCall]:
        """The calls it was rung for, so far."""
        return self._sipp.calls()


@asynccontextmanager
async def answering(
    pbx: LabAsterisk,
    who: str,
    *,
    behaviour: Behaviour | str = Behaviour.ANSWER,
    answer_after_s: float = 0.5,
    talk_s: float | None = None,
    tone_hz: int | None = None,
    audio: Path | None = None,
    forward_to: str = "",
    status: str | None = None,
) -> AsyncIterator[Phone]:
    """Switch a telephone on while the block runs.

    A user's extension, or OUTSIDE for the far end of the trunk.

    It answers any number of calls, `answer_after_s` after each rings, and hangs up `talk_s` after
    answering (None: it waits to be hung up on). `status` (such as "404 Not Found") overrides what a
    refusing behaviour says. Raises LabError.
    """
    behaviour = Behaviour(behaviour)
    address = pbx.network.outside if who == OUTSIDE else pbx.phone_address(who)
    port = pbx.network.outside_port if who == OUTSIDE else free_port(address, socket.SOCK_DGRAM)
    sipp = Sipp(trace_folder(pbx, who), address, port)
    if status is not None or behaviour in REFUSALS:
        contact = f"Contact: <sip:{forward_to}@{pbx.network.pbx}>\n" if behaviour is Behaviour.FORWARD else ""
        await sipp.start("refusing", {"STATUS": status or REFUSALS[behaviour], "CONTACT": contact})
    elif behaviour in (Behaviour.ANSWER, Behaviour.NO_ANSWER):
        rings_ms = milliseconds(answer_after_s) if behaviour is Behaviour.ANSWER else str(_UNTIL_THE_OTHER_MS)
        audio = audio or tone_file(pbx, tone_hz or (OUTSIDE_HZ if who == OUTSIDE else PHONE_HZ))
        await sipp.start("phone", {"RING_MS": rings_ms, "TALK_MS": milliseconds(talk_s), "AUDIO": str(audio)})
    registered = who != OUTSIDE and behaviour is not Behaviour.ABSENT
    endpoint = pbx.company.endpoint(who)
    try:
        if registered:
            await register(pbx.sip_address, endpoint=endpoint, contact=(address, port))
        yield Phone(sipp)
    finally:
        await sipp.stop()
        if registered and pbx.running:
            with suppress(LabError):  # a PBX that has just been killed need not hear of it
                await register(pbx.sip_address, endpoint=endpoint, contact=(address, port), expires_s=0)


def trace_folder(pbx: LabAsterisk, name: str) -> Path:
    below = pbx.folder / "phones"
    below.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=below))


def tone_file(pbx: LabAsterisk, hz: int) -> Path:
    return tone(pbx.folder / "sounds" / f"{hz}.al", hz=hz, length_s=10.0)


def milliseconds(seconds: float | None) -> str:
    return str(_UNTIL_THE_OTHER_MS if seconds is None else max(1, round(seconds * 1000)))
