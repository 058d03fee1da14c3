"""A manager interface that plays recorded calls, one after another, and writes their legs.

It answers what an agent asks as Asterisk would for a PBX with no other calls. The legs of a
MixMonitor are complete when the action is answered; then the telephone answers.
"""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

_STREAM: Final = Path(__file__).parents[1] / "tests" / "data" / "streams" / "in_answered.txt"
_LINKEDID, _CHANNEL, _CALLER = "1795947469", "-0000000", "89131234567"
_LISTS: Final = frozenset({"CoreShowChannels", "BridgeList", "DBGetTree"})
_RATE_HZ: Final = 8000


class ReplayedPbx:
    """Plays calls to the agent that has logged in. `talk_s` is how much audio each call has."""

    def __init__(self, talk_s: float) -> None:
        at = np.arange(round(talk_s * _RATE_HZ)) / _RATE_HZ
        self._tone = np.sin(2 * np.pi * 440 * at) / 4
        ringing, answered = _STREAM.read_text(encoding="utf-8").replace("\r", "").split("Event: DialEnd\n")
        self._ringing, self._answered = ringing, f"Event: DialEnd\n{answered}"
        self._agent: asyncio.StreamWriter | None = None
        self._recording: dict[str, asyncio.Event] = {}
        self.logged_in = asyncio.Event()

    async def play(self, number: int) -> None:
        """Play a call from its begin to its end; returns when it has ended."""
        assert self._agent is not None
        recording = self._recording[f"PJSIP/acme-152-{number:07x}1"] = asyncio.Event()
        self._agent.write(self._events(self._ringing, number))
        await asyncio.wait_for(recording.wait(), 60)
        self._agent.write(self._events(self._answered, number))
        await self._agent.drain()

    def _events(self, text: str, number: int) -> bytes:
        """Return events with the ids of a call of their own, dated now."""
        now, nearly = time.time(), itertools.count()
        text = text.replace(_CALLER, f"8913{number:07d}").replace(_LINKEDID, str(int(_LINKEDID) + number))
        text = re.sub(rf"{_CHANNEL}(\d)", rf"-{number:07x}\1", text)
        text = re.sub(r"(?<=^Timestamp: ).*", lambda _: f"{now + next(nearly) / 1e6:.6f}", text, flags=re.MULTILINE)
        return text.replace("\n", "\r\n").encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the actions of one connection."""
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                raw = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = {key: value for key, _, value in (line.partition(": ") for line in raw.split("\r\n") if line)}
                writer.write(self._answer(action).replace("\n", "\r\n").encode())
                if action["Action"] == "Login":
                    self._agent = writer
                    self.logged_in.set()
                if action["Action"] == "MixMonitor":
                    self._recording.pop(action["Channel"]).set()

    def _answer(self, action: Mapping[str, str]) -> str:
        name, reply = action["Action"], f"Response: Success\nActionID: {action['ActionID']}\n"
        if name in _LISTS:
            end = f"Event: {name}Complete\nActionID: {action['ActionID']}\nEventList: Complete\nListItems: 0\n\n"
            return f"{reply}EventList: start\n\n{end}"
        if name == "MixMonitor":
            for leg in re.findall(r"[rt]\(([^)]+)\)", action["Options"]):
                soundfile.write(leg, self._tone, _RATE_HZ, subtype="PCM_16", format="WAV")
        values = {"CHANNEL(audionativeformat)": "(alaw)", "MIXMONITOR_ID": "0x1"}
        value = values.get(action.get("Variable", ""), "0x1" if "Variable" in action else "")
        return f"{reply}Message: ok\nChallenge: 1\nValue: {value}\n\n"


@asynccontextmanager
async def replayed_pbx(talk_s: float) -> AsyncIterator[tuple[ReplayedPbx, str]]:
    """Serve a PBX; yields it and its address."""
    pbx = ReplayedPbx(talk_s)
    server = await asyncio.start_server(pbx.serve, "127.0.0.1", 0)
    yield pbx, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
