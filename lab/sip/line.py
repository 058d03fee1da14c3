"""One call in the hand of a telephone: answer, talk, hold, press keys, transfer, hang up."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import quote

from lab.base.errors import LabError
from lab.sip.bad_network import BadNetwork, Path
from lab.sip.dialog import Dialog
from lab.sip.far_audio import FarAudio
from lab.sip.message import Address, Codec, SipMessage, audio_address, session, tag_of
from lab.sip.rtp import PACER, AudioSocket, RtpStream
from lab.sip.sipp import SipCall

_SDP: Final = ("content-type", "application/sdp")
_DEADLINE_S: Final = 60.0  # twice 64 times T1 (RFC 3261, 17.1.1.2): a machine may stand still
_RESEND_S: Final = (0.5, 1.0, 2.0, *(4.0,) * 7)  # RFC 3261, 13.3.1.4


class CallRefused(LabError):
    """A call that was made came to nothing; `status` is the SIP status it got."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the call was refused with {status}")
        self.status = status


class Transport(Protocol):
    """What a line needs of its telephone."""

    address: Address
    pbx: Address

    def send(self, message: SipMessage) -> None:
        """Send a message to the PBX."""

    async def ask(self, request: SipMessage) -> SipMessage:
        """Send a request, again and again until it is answered; returns the final answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """What a telephone says all the time, and in which codec.

    With `listens` it keeps what it hears.

    `first_number` is where the sequence numbers of its RTP begin. Behind a bad network a telephone
    does not listen; it counts and reports what came.
    """

    codec: Codec
    audio: bytes
    first_number: int = 0
    listens: bool = False
    network: BadNetwork | None = None


class Line:
    """One call of one telephone, from its INVITE to its BYE."""

    def __init__(self, phone: Transport, sound: Sound, dialog: Dialog) -> None:
        self.sip_call = SipCall(call_id=dialog.call_id, invited_at=time.time())
        self.dialog = dialog
        self._phone, self._sound = phone, sound
        host = phone.address[0]
        self._audio = FarAudio(host, sound.network) if sound.network else AudioSocket(host, listens=sound.listens)
        self._version = 0
        self._direction = "sendrecv"
        self._outgoing = False
        self._invite: SipMessage | None = None
        self._acknowledged = asyncio.Event()
        self._settled, self._over = asyncio.Event(), asyncio.Event()
        self._transferred: asyncio.Future[int] | None = None

    @property
    def caller(self) -> str:
        """Who calls here: the user part of the other party's address."""
        return self.dialog.remote.partition("sip:")[2].partition("@")[0]

    @property
    def path(self) -> Path:
        """The way of the audio through a bad network. Raises LabError if there is none."""
        if not isinstance(self._audio, FarAudio):
            raise LabError("the telephone is not behind a bad network")
        return self._audio.path

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._over.is_set()

    @property
    def rings_here(self) -> bool:
        """Whether the call waits for this telephone to answer."""
        return not self._outgoing and not self._settled.is_set()

    # What the person at the telephone does.

    async def up(self) -> "Line":
        """Wait until somebody answers. Raises CallRefused."""
        await self._settled.wait()
        if not self.sip_call.answered:
            raise CallRefused(self.sip_call.status or 0)
        return self

    async def over(self, deadline_s: float = 60.0) -> SipCall:
        """Wait until it has ended; what became of it. Raises TimeoutError."""
        async with asyncio.timeout(deadline_s):
            await self._over.wait()
        return self.sip_call

    async def answer(self) -> "Line":
        """Take a call that rings here. Raises LabError if the caller has given up meanwhile."""
        invite = self._invite
        if invite is None or self._over.is_set():
            raise LabError("there is no call to answer any more")
        answer = invite.answered("200 OK", tag=tag_of(self.dialog.local), more=(self.dialog.contact, _SDP), body=self._described())
        self._answered(200, invite.body)
        for wait_s in _RESEND_S:
            self._phone.send(answer)
            try:
                await asyncio.wait_for(self._acknowledged.wait(), wait_s)
            except TimeoutError:
                continue
            return self
        raise LabError("the PBX does not acknowledge the answer")

    def refuse(self, status: str = "486 Busy Here", *, forward_to: str = "") -> None:
        """Turn down a call that rings here; a 302 names the number to `forward_to`."""
        if self._invite is None:
            raise LabError("there is no call to refuse")
        more = (("Contact", f"<sip:{forward_to}@{self._phone.pbx[0]}>"),) if forward_to else ()
        self._phone.send(self._invite.answered(status, tag=tag_of(self.dialog.local), more=more))
        self._end(int(status[:3]))

    async def hang_up(self) -> SipCall:
        """End the call in any state: cancel it, decline it, or say BYE."""
        if self._over.is_set():
            return self.sip_call
        if self.sip_call.answered:
            self._end()
            await self._phone.ask(self.dialog.request("BYE"))
        elif self._invite is not None and not self._outgoing:
            self.refuse("603 Decline")
        else:
            await self._cancel()
        return self.sip_call

    async def press(self, keys: str) -> None:
        """Press keys; back when the last tone has been sent, or the call is over."""
        if self._audio.stream is None:
            raise LabError("no keys before the answer")
        pressed = asyncio.wrap_future(self._audio.stream.press(keys))
        ended = asyncio.ensure_future(self._over.wait())
        await asyncio.wait((pressed, ended), return_when=asyncio.FIRST_COMPLETED)
        pressed.cancel()
        ended.cancel()

    async def hold(self) -> None:
        """Put the other party on hold: a re-INVITE with sendonly, and not a sound from here.

        Raises LabError if refused.
        """
        await self._renegotiate("sendonly")

    async def resume(self, *, rtp_anew: bool = False) -> None:
        """Talk again; some telephones restart their RTP after a hold (`rtp_anew`).

        Raises LabError if refused.
        """
        if rtp_anew and self._audio.stream is not None:
            self._audio.stream = self._audio.stream.begun_anew()
        await self._renegotiate("sendrecv")

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Send no audio at all while the block runs, without a word to anybody."""
        if self._audio.stream is None:
            raise LabError("no silence before the answer")
        self._audio.stream.silent = True
        yield
        self._audio.stream.silent = False

    @contextmanager
    def saying_nothing(self) -> Iterator[None]:
        """Send audio in which nothing is to be heard while the block runs."""
        if self._audio.stream is None:
            raise LabError("nothing is said before the answer")
        self._audio.stream.muted = True
        yield
        self._audio.stream.muted = False

    def loses_every(self, packets: int) -> None:
        """Lose one of so many packets of what is said here, from now on."""
        if self._audio.stream is None:
            raise LabError("nothing is said before the answer")
        self._audio.stream.loses_every = packets

    def reports(self, *, lost: int, jitter_ms: int) -> None:
        """Report how many packets were not heard here, as a telephone does every five seconds."""
        self._audio.report(lost, jitter_ms)

    async def transfer(self, number: str) -> int:
        """Transfer the other party blindly (REFER, RFC 3515).

        The last status that the PBX tells of it, then hang up.
        """
        return await self._refer(f"<sip:{number}@{self._phone.pbx[0]}>")

    async def join(self, other: "Line") -> int:
        """Connect the other parties of two calls of this telephone, then hang up.

        The telephone sends REFER with Replaces (RFC 3891).
        """
        there = other.dialog
        call_id, to_tag, from_tag = (quote(text, safe="") for text in (there.call_id, tag_of(there.remote), tag_of(there.local)))
        replaces = f"{call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}"
        return await self._refer(f"<{there.target.partition(';')[0]}?Replaces={replaces}>")

    def heard(self) -> bytes:
        """What came from the PBX so far, in the codec (only of a telephone that listens)."""
        return self._audio.heard()

    # What the telephone does by itself.

    async def invite(self) -> None:
        """Call; ends when it is answered or refused."""
        self._outgoing = True
        self._invite = self.dialog.request("INVITE", _SDP, body=self._described())
        try:
            answer = await self._phone.ask(self._invite)
        except LabError:
            self._end(408)
            return
        self.dialog.remote = answer.header("to") or self.dialog.remote
        if answer.status != 200:
            self._phone.send(self.dialog.acknowledgement(self._invite.branch))
            self._end(answer.status)
            return
        self.dialog.target = answer.contact or self.dialog.target
        self._phone.send(self.dialog.acknowledgement())
        self._answered(200, answer.body)

    def ring(self, invite: SipMessage) -> None:
        """Somebody calls: ring."""
        self._invite = invite
        self.sip_call = replace(self.sip_call, rang_at=time.time())
        self._phone.send(invite.answered("180 Ringing", tag=tag_of(self.dialog.local), more=(self.dialog.contact,)))

    def rings_there(self) -> None:
        """The other telephone rings."""
        if self.sip_call.rang_at is None:
            self.sip_call = replace(self.sip_call, rang_at=time.time())

    def hears_early(self, body: str) -> None:
        """The PBX plays something before the answer (183)."""
        self._point_at(body)
        PACER.join(self._audio)

    def answered_again(self) -> None:
        """Our acknowledgement of the answer was lost."""
        self._phone.send(self.dialog.acknowledgement())

    def take(self, request: SipMessage) -> None:
        """A request of the PBX in this call."""
        tag = tag_of(self.dialog.local)
        match request.method:
            case "ACK":
                self._acknowledged.set()
            case "CANCEL":
                self._phone.send(request.answered("200 OK", tag=tag))
                if self._invite is not None and not self._settled.is_set():
                    self._phone.send(self._invite.answered("487 Request Terminated", tag=tag))
                    self._end(487)
            case "BYE":
                self._phone.send(request.answered("200 OK", tag=tag))
                self._end()
            case "INVITE" | "UPDATE" if request.body or request.method == "INVITE":
                self._point_at(request.body)
                self._phone.send(request.answered("200 OK", tag=tag, more=(self.dialog.contact, _SDP), body=self._described()))
            case "NOTIFY":
                self._phone.send(request.answered("200 OK", tag=tag))
                if self._transferred is not None and not self._transferred.done() and request.fragment_status >= 200:
                    self._transferred.set_result(request.fragment_status)
            case _:
                self._phone.send(request.answered("200 OK", tag=tag))

    def drop(self) -> None:
        """The telephone is switched off."""
        self._end()

    async def _cancel(self) -> None:
        assert self._invite is not None
        await self._phone.ask(self.dialog.cancellation(self._invite.branch))
        await self._settled.wait()
        if self.sip_call.answered:  # just before we gave up
            await self.hang_up()

    async def _refer(self, target: str) -> int:
        self._transferred = asyncio.get_running_loop().create_future()
        self.sip_call = replace(self.sip_call, handed_over_at=time.time())
        user = re.sub(r";tag=.*", "", self.dialog.local)
        answer = await self._phone.ask(self.dialog.request("REFER", ("refer-to", target), ("referred-by", user)))
        if answer.status != 202:
            raise LabError(f"the PBX refused to transfer: {answer.first}")
        ended = asyncio.ensure_future(self._over.wait())
        async with asyncio.timeout(_DEADLINE_S):
            await asyncio.wait((self._transferred, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        status = self._transferred.result() if self._transferred.done() else 0
        await self.hang_up()
        return status

    async def _renegotiate(self, direction: str) -> None:
        self._direction = direction
        if self._audio.stream is not None:
            self._audio.stream.silent = direction == "sendonly"
        invite = self.dialog.request("INVITE", _SDP, body=self._described())
        answer = await self._phone.ask(invite)
        self._phone.send(self.dialog.acknowledgement(None if answer.status == 200 else invite.branch))
        if answer.status != 200:
            raise LabError(f"the PBX refused {direction}: {answer.first}")

    def _described(self) -> str:
        self._version += 1
        return session(self._audio.address, self._sound.codec, version=self._version, direction=self._direction)

    def _answered(self, status: int, body: str) -> None:
        self.sip_call = replace(self.sip_call, status=status, answered_at=time.time())
        self._point_at(body)
        self._audio.stream = RtpStream(self._sound.codec, self._sound.audio, first_number=self._sound.first_number)
        PACER.join(self._audio)
        self._settled.set()

    def _point_at(self, body: str) -> None:
        peer = audio_address(body)
        if peer is not None and peer[1]:
            self._audio.connect(peer)

    def _end(self, status: int | None = None) -> None:
        if self._over.is_set():
            return
        ended = self.sip_call.answered
        self.sip_call = replace(self.sip_call, status=self.sip_call.status or status, ended_at=time.time() if ended else None)
        self._audio.close()
        self._settled.set()
        self._over.set()
