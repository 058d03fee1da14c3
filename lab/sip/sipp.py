"""SIPp as a telephone: a scenario run as a process, and the calls read from its trace."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.base.errors import LabError
from lab.base.eventually import eventually
from lab.base.priority import FIRST

_SCENARIOS: Final = Path(__file__).parent / "sipp"
_FIELDS: Final = 7
_DIE_WITH_US: Final = (*FIRST, "setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True, kw_only=True, slots=True)
class SipCall:
    """One call as a telephone lived it.

    Times are seconds since the epoch, taken by SIPp as it sent or received.

    `rang_at` is the 180, `status` the final answer to the INVITE (None: none came), `answered_at`
    the 200 OK, `ended_at` the BYE, `handed_over_at` its REFER.
    """

    call_id: str
    invited_at: float
    rang_at: float | None = None
    status: int | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    handed_over_at: float | None = None

    @property
    def answered(self) -> bool:
        """Whether somebody took the call."""
        return self.answered_at is not None

    @property
    def talk_s(self) -> float:
        """From the answer to the goodbye, or to when it was handed over.

        0 if there was no talk, or it goes on.
        """
        return (
            0.0 if self.answered_at is None or self.ended_at is None else (self.handed_over_at or self.ended_at) - self.answered_at
        )


class Sipp:
    """One SIPp process.

    `address` and `port` are its own; `folder` gets the filled scenario and the trace.
    """

    def __init__(self, folder: Path, address: str, port: int) -> None:
        self._folder = folder
        self._address = address
        self._port = port
        self._trace = folder / "messages.tsv"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, scenario: str, values: Mapping[str, str], *arguments: str) -> None:
        """Fill the scenario (`@NAME@`) and start it; back once the port is open.

        Raises LabError with SIPp's complaint.
        """
        program = shutil.which("sipp")
        if program is None:
            raise LabError("sipp is missing: apt-get install sip-tester")
        template = (_SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        filled = self._folder / f"{scenario}.xml"
        filled.write_text(re.sub(r"@([A-Z_]+)@", lambda mark: values[mark.group(1)], template), encoding="utf-8")
        command = (
            *(*_DIE_WITH_US, program, "-sf", str(filled), "-i", self._address, "-p", str(self._port), "-mi", self._address),
            *("-nostdin", "-skip_rlimit", "-timer_resol", "1", "-trace_shortmsg", "-shortmessage_file", str(self._trace)),
            *("-trace_err", "-error_file", str(self._folder / "errors.log")),
            *arguments,
        )
        with (self._folder / "screen.log").open("wb") as screen:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                env={**os.environ, "TERM": "dumb"},
            )
        await self._wait_for_port()

    async def wait(self, deadline_s: float) -> int:
        """Wait until it has made all its calls.

        Returns SIPp's exit code (0: all went as the scenario says).
        """
        assert self._process is not None
        try:
            return await asyncio.wait_for(self._process.wait(), deadline_s)
        except TimeoutError:
            await self.stop()
            raise LabError(f"SIPp was not done after {deadline_s:.0f} s: see {self._folder}") from None

    async def stop(self) -> None:
        """End the process; calls in it are left as they are."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def calls(self) -> list[SipCall]:
        """Every call so far, in the order they began."""
        return read_trace(self._trace.read_text(encoding="utf-8", errors="replace") if self._trace.exists() else "")

    async def _wait_for_port(self) -> None:
        assert self._process is not None
        packed = bytes(int(part) for part in reversed(self._address.split("."))).hex().upper()
        open_port = f" {packed}:{self._port:04X} "
        process = self._process
        with suppress(AssertionError):
            await eventually(lambda: open_port in _udp_sockets() or process.returncode is not None)
            if process.returncode in (None, 0):
                return
        await self.stop()
        raise LabError(f"SIPp did not start on {self._address}:{self._port}: see {self._folder / 'screen.log'}")


def _udp_sockets() -> str:
    return Path("/proc/net/udp").read_text()


def read_trace(text: str) -> list[SipCall]:
    """Calls from SIPp's short messages.

    Tab-separated date, time, epoch, S(ent) or R(eceived), Call-ID, CSeq, first line.
    """
    calls: dict[str, SipCall] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            continue  # the line that is being written
        _, _, epoch, _, call_id, cseq, first = fields
        at, method = float(epoch), cseq.rpartition(" ")[2]
        if first.startswith("INVITE ") and call_id not in calls:
            calls[call_id] = SipCall(call_id=call_id, invited_at=at)
        elif call_id in calls:
            calls[call_id] = _after(calls[call_id], at, method, first)
    return list(calls.values())


def _after(call: SipCall, at: float, method: str, first: str) -> SipCall:
    if first.startswith("SIP/2.0 ") and method == "INVITE" and call.status is None and first[8] != "1":
        status = int(first[8:11])
        return replace(call, status=status, answered_at=at if status == 200 else None)
    if first.startswith("SIP/2.0 180") and call.rang_at is None:
        return replace(call, rang_at=at)
    if first.startswith("BYE ") and call.ended_at is None:
        return replace(call, ended_at=at)
    return call
