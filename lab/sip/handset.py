"""A telephone that a test holds in its hand: it calls, is rung, and does in a call what people do.

SIPp's scenarios (`lab.sip.sipp_phones`) play a part that is written beforehand; a handset is told
while the call goes on. It speaks just enough of RFC 3261 over UDP, with real audio; several calls
at a time are fine.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, cast

from lab.asterisk.server import LabAsterisk
from lab.audio.tones import tone, wideband_tone
from lab.base.errors import LabError
from lab.base.eventually import LIMIT_S
from lab.sip.bad_network import BadNetwork
from lab.sip.dialog import Dialog
from lab.sip.line import Line, Sound
from lab.sip.message import Address, Codec, SipMessage, new_tag, quoted
from lab.sip.registration import register
from lab.sip.sipp import SipCall
from lab.sip.sipp_phones import CALLER_HZ, OUTSIDE, OUTSIDE_HZ

TRUNK: Final = "trunk"  # a caller from outside
# RFC 3261 gives up after 32 s; a machine may stand still.
_RESEND_S: Final = (0.5, 1.0, 2.0, *(4.0,) * 15)
_HANGS_UP_WITHIN_S: Final = 5.0
_DESK_HZ: Final = 520  # the first user's tone, the others follow
_DESK_STEP_HZ: Final = 120


class Handset(asyncio.DatagramProtocol):
    """A telephone that is switched on. `user` is the user part of its From."""

    def __init__(self, *, user: str, pbx: Address, sound: Sound) -> None:
        self.pbx = pbx
        self._is_off = asyncio.Event()
        self._user, self._sound = user, sound
        self._lines: dict[str, Line] = {}
        self._ringing: list[Line] = []
        self._listening: list[tuple[str | None, asyncio.Future[Line]]] = []
        self._answers: dict[tuple[str, str], asyncio.Queue[SipMessage]] = {}
        self._said: dict[tuple[str, str], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def calls(self) -> list[SipCall]:
        """Its calls so far, in the order they began."""
        return [line.sip_call for line in self._lines.values()]

    def dial(self, number: str, *, user: str | None = None, name: str = "") -> Line:
        """Call a number; back at once, wait with `up()`.

        `user` and `name` say who calls (a trunk speaks for many).
        """
        line = Line(
            self,
            self._sound,
            Dialog(
                call_id=secrets.token_hex(10),
                local=f"{quoted(name)}<sip:{user or self._user}@{self.address[0]}>;tag={new_tag()}",
                remote=f"<sip:{number}@{self.pbx[0]}>",
                target=f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}",
                here=self.address,
            ),
        )
        self._lines[line.sip_call.call_id] = line
        task = asyncio.create_task(line.invite())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return line

    async def call(self, number: str, *, user: str | None = None, name: str = "") -> Line:
        """Call a number and wait for the answer. Raises CallRefused."""
        return await self.dial(number, user=user, name=name).up()

    async def rung(self, deadline_s: float = LIMIT_S, *, caller: str | None = None) -> Line:
        """The next call that rings here (of this caller, if one is named). Raises TimeoutError."""
        for line in self._ringing:
            if caller in (None, line.caller):
                self._ringing.remove(line)
                return line
        awaited: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._listening.append((caller, awaited))
        return await asyncio.wait_for(awaited, deadline_s)

    # What the lines need (lab.sip.line.Transport).

    def send(self, message: SipMessage) -> None:
        """Send a message to the PBX."""
        encoded = message.encode()
        if message.status:
            self._said[message.branch, message.method] = encoded
        self._transport.sendto(encoded, self.pbx)

    async def ask(self, request: SipMessage) -> SipMessage:
        """Send a request until it is answered (section 17.1); returns the final answer.

        Raises LabError if none comes.
        """
        key = request.branch, request.method
        answers = self._answers[key] = asyncio.Queue()
        try:
            for wait_s in _RESEND_S:
                self._transport.sendto(request.encode(), self.pbx)
                with suppress(TimeoutError):
                    answer = await asyncio.wait_for(answers.get(), wait_s)
                    while answer.status < 200:
                        answer = await answers.get()
                    return answer
        finally:
            del self._answers[key]
        raise LabError(f"the PBX does not answer {request.first}")

    # What comes from the network.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address: Address = transport.get_extra_info("sockname")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._is_off.set()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A message of the PBX."""
        message = SipMessage.parse(data)
        line = self._lines.get(message.header("call-id"))
        if message.status:
            self._answer_came(message, line)
        elif (said := self._said.get((message.branch, message.method))) is not None:
            self._transport.sendto(said, self.pbx)  # the PBX missed our answer
        elif line is not None:
            line.take(message)
        elif message.method == "INVITE":
            self._ring(message)
        elif message.method != "ACK":
            self.send(message.answered("481 Call/Transaction Does Not Exist", tag=new_tag()))

    async def hang_up(self) -> None:
        """End the calls that a test has left, so that no later test meets them.

        A call that rings here is left to its caller, who may just be giving up.
        """
        left = [line for line in self._lines.values() if not line.is_over and not line.rings_here]
        with suppress(TimeoutError):
            async with asyncio.timeout(_HANGS_UP_WITHIN_S):
                await asyncio.gather(*(line.hang_up() for line in left), return_exceptions=True)

    def lose_calls(self) -> None:
        """Forget all calls without a message to the PBX, as when it has died."""
        for task in self._tasks:
            task.cancel()
        for line in self._lines.values():
            line.drop()
        self._ringing.clear()

    async def switch_off(self) -> None:
        """Leave all calls as they are; back when the port is free.

        asyncio closes a socket later than its transport, and OUTSIDE always has the same port.
        """
        self.lose_calls()
        self._transport.close()
        await self._is_off.wait()

    def _answer_came(self, answer: SipMessage, line: Line | None) -> None:
        answers = self._answers.get((answer.branch, answer.method))
        if answers is not None:
            answers.put_nowait(answer)
            if answer.status == 180 and line is not None:
                line.rings_there()
            if answer.status == 183 and answer.body and line is not None:
                line.hears_early(answer.body)
        elif answer.method == "INVITE" and answer.status == 200 and line is not None:
            line.answered_again()

    def _ring(self, invite: SipMessage) -> None:
        line = Line(
            self,
            self._sound,
            Dialog(
                call_id=invite.header("call-id"),
                local=f"{invite.header('to')};tag={new_tag()}",
                remote=invite.header("from"),
                target=invite.contact,
                here=self.address,
            ),
        )
        self._lines[line.sip_call.call_id] = line
        line.ring(invite)
        self._listening = [(caller, awaited) for caller, awaited in self._listening if not awaited.done()]
        wanted = next((awaited for caller, awaited in self._listening if caller in (None, line.caller)), None)
        if wanted is not None:
            wanted.set_result(line)
        else:
            self._ringing.append(line)


def tone_hz_of(pbx: LabAsterisk, who: str) -> int:
    """The tone of a handset by default: each user has another."""
    if who in (TRUNK, OUTSIDE):
        return CALLER_HZ if who == TRUNK else OUTSIDE_HZ
    return _DESK_HZ + _DESK_STEP_HZ * ([user.extension for user in pbx.company.users].index(who) % 5)


def _first_number_of(pbx: LabAsterisk, who: str) -> int:
    """Where the RTP of a handset begins.

    152, a caller from outside, 421, the others, the far end, each a minute behind.

    When a recorded channel is given another party, Asterisk 22 leaves out of the recording what
    has a lower number than what it had last (its translator takes it for late packets), though
    everybody hears it. Transfers go down this row, so that the lab's telephones always meet what
    chance would have them meet every other time.
    """
    row = [user.extension for user in pbx.company.users]
    row = [*row[:1], TRUNK, *row[1:], OUTSIDE]
    return (30000 - 3000 * row.index(who)) & 0xFFFF


@asynccontextmanager
async def handset(
    pbx: LabAsterisk,
    who: str,
    *,
    codec: Codec = Codec.ALAW,
    tone_hz: int | None = None,
    audio: Path | None = None,
    listens: bool = False,
    network: BadNetwork | None = None,
    second: bool = False,
) -> AsyncIterator[Handset]:
    """Switch a handset on while the block runs.

    A user's extension, TRUNK (calls from outside) or OUTSIDE (is called there); `second` is the
    user's second telephone. Its audio passes the `network`, if there is one.

    Raises LabError.
    """
    sound = Sound(
        codec=codec,
        audio=(audio or _tone(pbx, codec, tone_hz or tone_hz_of(pbx, who))).read_bytes(),
        first_number=_first_number_of(pbx, who),
        listens=listens,
        network=network,
    )
    user = who if who in (TRUNK, OUTSIDE) else pbx.company.endpoint(who)
    loop = asyncio.get_running_loop()
    _, phone = await loop.create_datagram_endpoint(
        lambda: Handset(user=user, pbx=pbx.sip_address, sound=sound), local_addr=_place(pbx, who)
    )
    registered = who not in (TRUNK, OUTSIDE)
    aor = pbx.company.second(who) if second else user
    try:
        if registered:
            await register(pbx.sip_address, endpoint=user, contact=phone.address, aor=aor)
        yield phone
    finally:
        if pbx.running:
            await phone.hang_up()
        await phone.switch_off()
        if registered and pbx.running:
            with suppress(LabError):  # a PBX that has just been killed need not hear of it
                await register(pbx.sip_address, endpoint=user, contact=phone.address, expires_s=0, aor=aor)


def _place(pbx: LabAsterisk, who: str) -> Address:
    """Return the address and the port of a telephone; 0 is any free port, taken as it is chosen."""
    if who == OUTSIDE:
        return pbx.network.outside, pbx.network.outside_port
    return pbx.network.trunk if who == TRUNK else pbx.phone_address(who), 0


def _tone(pbx: LabAsterisk, codec: Codec, hz: int) -> Path:
    sounds = pbx.folder / "sounds"
    if codec is not Codec.ALAW:
        return wideband_tone(sounds / f"{hz}.{codec.name.lower()}", hz=hz, length_s=10.0)
    return tone(sounds / f"{hz}.al", hz=hz, length_s=10.0)
