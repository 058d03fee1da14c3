"""Calls that SIPp makes: from outside by the trunk, or from a user's desk."""

import socket
from pathlib import Path
from typing import Final, Literal

from lab.asterisk.addresses import free_port
from lab.asterisk.server import LabAsterisk
from lab.sip.sipp import SipCall, Sipp
from lab.sip.sipp_phones import CALLER_HZ, milliseconds, tone_file, trace_folder

_SETUP_S: Final = 60.0  # the longest a call may take besides talking

CallOutcome = SipCall


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
        audio=audio or tone_file(pbx, tone_hz),
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
        audio=audio or tone_file(pbx, CALLER_HZ),
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
        audio=audio or tone_file(pbx, tone_hz),
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
    sipp = Sipp(trace_folder(pbx, f"{user}-calls"), address, free_port(address, socket.SOCK_DGRAM))
    target = "{}:{}".format(*pbx.sip_address)
    values = {
        "DIALLED": dialled,
        "PBX": target,
        "FROM": f"{_quoted(name)}<sip:{user}@{address}>",
        "GIVE_UP_MS": milliseconds(give_up_after_s),
        "TALK_MS": milliseconds(talk_s if hang_up_by == "caller" else None),
        "AUDIO": str(audio),
    }
    rate = ("-m", str(calls), "-l", str(calls), "-r", f"{max(1, round(per_second * 10))}", "-rp", "10000")
    try:
        await sipp.start("caller", values, *rate, target)
        await sipp.wait(_SETUP_S + give_up_after_s + talk_s + calls / per_second)
    finally:
        await sipp.stop()
    return sipp.calls()


def _quoted(name: str) -> str:
    """Write a display name (RFC 3261, section 25.1, quoted-string).

    Every byte is written as SIPp's \\xHH, because SIPp reads `[…]` as a keyword.
    """
    if not name:
        return ""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\x{byte:02x}" for byte in escaped.encode()) + '" '
