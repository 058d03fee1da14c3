"""One agent records the calls of an Asterisk: it has a claim in AstDB, and answers who asks for it.

    fonoteka/agent/claim = ID runs HOST:SPOOL    the agent that records ("ended": it has stopped)
    fonoteka/agent/asked = ID runs HOST:SPOOL    an agent that asks; that of the claim removes it

AstDB cannot compare and write at once. So a claim is read again one second after it was written,
where the last writer wins, and every 1.5 seconds (docs/decisions/0034-one-agent.md).
"""

import asyncio
import math
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import structlog

from agent.ami.protocol import Ami
from agent.recording.astdb_mirror import FAMILY
from fonoteka.core.errors import AmiError, AmiTimeout, PbxTaken
from fonoteka.core.spool import Spool

TREE: Final = "agent"
_CLAIM, _ASKED = f"{TREE}/claim", f"{TREE}/asked"
KEEP_EVERY_S: Final = 1.5
KEEP_WITHIN_S: Final = 2.0
# An agent that has lost its connection tries again within 10 s.
ANSWERS_WITHIN_S: Final = 12.0
LOOK_EVERY_S: Final = 0.5
SETTLED_AFTER_S: Final = 1.0
STOP_WITHIN_S: Final = 1.0
# Less than another agent waits for an answer.
DOUBTFUL_AFTER_S: Final = 8.0
_VALUE: Final = re.compile(r"([0-9a-f]{16}-\d+) (runs|ended) (.+)")
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """An agent, by the identity of its spool; `place` is for people."""

    identity: str
    place: str
    ended: bool = False

    @classmethod
    def read(cls, value: str) -> Self | None:
        """Return the claim of a value in AstDB, None if it is none."""
        found = _VALUE.fullmatch(value)
        return cls(identity=found[1], place=found[3], ended=found[2] == "ended") if found else None

    def __str__(self) -> str:
        return f"{self.identity} {'ended' if self.ended else 'runs'} {self.place}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What AstDB says: who has the claim, and whether an agent's question is still there."""

    claim: Claim | None
    asked: bool


async def read_claims(ami: Ami, timeout_s: float = 10) -> Claims:
    """Return the claim on an Asterisk, and whether its agent is asked for. Raises AmiError."""
    there = await _read(ami, timeout_s)
    return Claims(claim=Claim.read(there.get(_CLAIM, "")), asked=_ASKED in there)


async def _read(ami: Ami, timeout_s: float = 10) -> dict[str, str]:
    rows = await ami.listing("DBGetTree", timeout_s, Family=FAMILY, Key=TREE)
    return {row.get("Key", "").removeprefix(f"/{FAMILY}/"): row.get("Val", "") for row in rows}


class PbxClaim:
    """The claim of the agent of `spool`. `asterisk` names the Asterisk in errors."""

    def __init__(self, ami: Ami, spool: Spool, asterisk: str) -> None:
        self._ami, self._asterisk = ami, asterisk
        place = f"{socket.gethostname()}:{spool.root}".encode("ascii", "backslashreplace").decode()
        self._own = Claim(identity=spool.identity(make=True), place=place[:500])
        self._held = self._released = False
        self._checked_at = -math.inf

    @property
    def held(self) -> bool:
        """Whether this agent has the claim."""
        return self._held and not self.doubtful

    @property
    def doubtful(self) -> bool:
        """Whether this process stood still for so long that another agent may have the claim."""
        return time.monotonic() - self._checked_at > DOUBTFUL_AFTER_S

    async def take(self) -> bool:
        """Take the claim after a login. Returns False if this took long: log in again.

        The agent of the same spool has the claim at once, as the spool's lock lets one agent run.
        Raises PbxTaken if another agent has the claim and answers; AmiError.
        """
        found = (await read_claims(self._ami)).claim
        is_of_another = found is not None and self.is_of_other_spool(found) and not found.ended
        if found is not None and is_of_another:
            await self._outwait(found)
        if found != self._own:
            await self._put(_CLAIM, self._own)
        if found is None or self.is_of_other_spool(found):
            await asyncio.sleep(SETTLED_AFTER_S)
        await self.keep()
        return not is_of_another

    def is_of_other_spool(self, claim: Claim) -> bool:
        """Return whether a claim is of an agent with another spool."""
        return claim.identity != self._own.identity

    async def ask(self) -> None:
        """Ask the agent of the claim, which removes the question. Raises AmiError."""
        await self._put(_ASKED, self._own)

    async def _outwait(self, found: Claim) -> None:
        """Ask the agent of a claim, and return if there is no answer. Raises PbxTaken, AmiError."""
        _log.warning("claim.found", agent=found.place, answers_within_s=ANSWERS_WITHIN_S)
        await self.ask()
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(AmiTimeout):
                claims = await read_claims(self._ami)
                now = claims.claim
                if now is None or now.ended:
                    return
                if not claims.asked or now.identity != found.identity:
                    raise self._taken(now)

    async def run(self) -> None:
        """Keep the claim until cancelled. Raises PbxTaken if another agent has it."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await self.check()

    async def check(self) -> None:
        """Keep the claim, if Asterisk answers. Raises PbxTaken if another agent has it."""
        with suppress(AmiError):
            await self.keep()
        self._checked_at = time.monotonic()

    async def keep(self) -> None:
        """Answer an agent that asks, and write a claim that is gone. Raises PbxTaken, AmiError."""
        claims = await read_claims(self._ami, KEEP_WITHIN_S)
        found = claims.claim
        if found is not None and self.is_of_other_spool(found) and not found.ended:
            self._held = False
            raise self._taken(found)
        if self._released:
            return
        if found != self._own:
            await self._put(_CLAIM, self._own)
        if claims.asked:
            await self._ami.action("DBDel", KEEP_WITHIN_S, Family=FAMILY, Key=_ASKED)
        self._held, self._checked_at = True, time.monotonic()

    async def release(self) -> None:
        """Mark the claim as ended, so that the agent of another spool need not ask."""
        self._released = True
        ended = Claim(identity=self._own.identity, place=self._own.place, ended=True)
        with suppress(AmiError):
            await self._put(_CLAIM, ended, STOP_WITHIN_S)

    async def _put(self, key: str, value: Claim, timeout_s: float = 5) -> None:
        await self._ami.action("DBPut", timeout_s, Family=FAMILY, Key=key, Val=str(value))

    def _taken(self, by: Claim) -> PbxTaken:
        return PbxTaken(
            f"pbx.ami = {self._asterisk}: another agent records the calls of this Asterisk ({by.place}): "
            "only one `fonoteka up` or `fonoteka agent` may use an Asterisk"
        )
