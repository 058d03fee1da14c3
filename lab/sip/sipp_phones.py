"""Telephones for the lab: they answer, refuse, ring on, forward.

They call from outside and from their desks.

Every telephone has a tone of its own (or an audio file), so that a recording's spectrum tells who
is on which leg.
"""

import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

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
_SETUP_S: Final = 60.0  # the longest a call may take besides talking

CallOutcome = SipCall


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
    sipp = Sipp(_folder(pbx, who), address, port)
    if status is not None or behaviour in REFUSALS:
        contact = f"Contact: <sip:{forward_to}@{pbx.network.pbx}>\n" if behaviour is Behaviour.FORWARD else ""
        await sipp.start("refusing", {"STATUS": status or REFUSALS[behaviour], "CONTACT": contact})
    elif behaviour in (Behaviour.ANSWER, Behaviour.NO_ANSWER):
        rings_ms = _milliseconds(answer_after_s) if behaviour is Behaviour.ANSWER else str(_UNTIL_THE_OTHER_MS)
        audio = audio or _tone(pbx, tone_hz or (OUTSIDE_HZ if who == OUTSIDE else PHONE_HZ))
        await sipp.start("phone", {"RING_MS": rings_ms, "TALK_MS": _milliseconds(talk_s), "AUDIO": str(audio)})
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


async def call_from_trunk(
    pbx: LabAsterisk,
    *,
    dialled: str,
    caller: str = "89131234567",
    caller_name: str = "",
    talk_s: float = 5.0,
    tone_hz: int = CALLER_HZ,
    audio: Path | None = None,
    hang_up_by: Literal["caller", "callee"] = "caller",
    give_up_after_s: float = 60.0,
) -> CallOutcome:
    """One call from outside; back when it is over.

    It gives up `give_up_after_s` after the last sign of ringing. Raises LabError.
    """
    outcomes = await calls_from_trunk(
        pbx,
        calls=1,
        dialled=dialled,
        caller=caller,
        caller_name=caller_name,
        talk_s=talk_s,
        audio=audio or _tone(pbx, tone_hz),
        hang_up_by=hang_up_by,
        give_up_after_s=give_up_after_s,
    )
    return outcomes[0]


async def calls_from_trunk(
    pbx: LabAsterisk,
    *,
    calls: int,
    per_second: float = 10.0,
    dialled: str,
    caller: str = "89131234567",
    caller_name: str = "",
    talk_s: float = 5.0,
    audio: Path | None = None,
    hang_up_by: Literal["caller", "callee"] = "caller",
    give_up_after_s: float = 60.0,
) -> list[CallOutcome]:
    """Many calls from outside out of one SIPp, all going on at once if they are long enough.

    Raises LabError.
    """
    return await _call(
        pbx,
        pbx.network.trunk,
        name=caller_name,
        user=caller,
        dialled=dialled,
        calls=calls,
        per_second=per_second,
        talk_s=talk_s,
        audio=audio or _tone(pbx, CALLER_HZ),
        hang_up_by=hang_up_by,
        give_up_after_s=give_up_after_s,
    )


async def call_from_user(
    pbx: LabAsterisk,
    extension: str,
    *,
    dialled: str,
    talk_s: float = 5.0,
    tone_hz: int = CALLER_HZ,
    audio: Path | None = None,
    hang_up_by: Literal["caller", "callee"] = "caller",
    give_up_after_s: float = 60.0,
) -> CallOutcome:
    """One call from a user's desk (their telephone need not be switched on to call).

    Raises LabError.
    """
    outcomes = await _call(
        pbx,
        pbx.phone_address(extension),
        name="",
        user=pbx.company.endpoint(extension),
        dialled=dialled,
        calls=1,
        per_second=10.0,
        talk_s=talk_s,
        audio=audio or _tone(pbx, tone_hz),
        hang_up_by=hang_up_by,
        give_up_after_s=give_up_after_s,
    )
    return outcomes[0]


async def _call(
    pbx: LabAsterisk,
    address: str,
    *,
    name: str,
    user: str,
    dialled: str,
    calls: int,
    per_second: float,
    talk_s: float,
    audio: Path,
    hang_up_by: str,
    give_up_after_s: float,
) -> list[CallOutcome]:
    sipp = Sipp(_folder(pbx, f"{user}-calls"), address, free_port(address, socket.SOCK_DGRAM))
    target = "{}:{}".format(*pbx.sip_address)
    values = {
        "DIALLED": dialled,
        "PBX": target,
        "FROM": f"{_quoted(name)}<sip:{user}@{address}>",
        "GIVE_UP_MS": _milliseconds(give_up_after_s),
        "TALK_MS": _milliseconds(talk_s if hang_up_by == "caller" else None),
        "AUDIO": str(audio),
    }
    rate = ("-m", str(calls), "-l", str(calls), "-r", f"{max(1, round(per_second * 10))}", "-rp", "10000")
    try:
        await sipp.start("caller", values, *rate, target)
        await sipp.wait(_SETUP_S + give_up_after_s + talk_s + calls / per_second)
    finally:
        await sipp.stop()
    return sipp.calls()


def _folder(pbx: LabAsterisk, name: str) -> Path:
    below = pbx.folder / "phones"
    below.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=below))


def _tone(pbx: LabAsterisk, hz: int) -> Path:
    return tone(pbx.folder / "sounds" / f"{hz}.al", hz=hz, length_s=10.0)


def _milliseconds(seconds: float | None) -> str:
    return str(_UNTIL_THE_OTHER_MS if seconds is None else max(1, round(seconds * 1000)))


def _quoted(name: str) -> str:
    """Write a display name (RFC 3261, section 25.1, quoted-string).

    Every byte is written as SIPp's \\xHH, because SIPp reads `[…]` as a keyword.
    """
    if not name:
        return ""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\x{byte:02x}" for byte in escaped.encode()) + '" '
