"""SIP messages as a telephone reads and writes them (RFC 3261), and the audio they agree on.

RFC 4566.
"""

import re
import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

Address = tuple[str, int]

_END: Final = "\r\n"
TELEPHONE_EVENT: Final = 101  # the payload type of digits, as we offer it


class Codec(IntEnum):
    """What a telephone talks, by payload type: RFC 3551's.

    Opus has the one that Asterisk offers. 160 bytes in 20 ms each.
    """

    ALAW = 8
    G722 = 9
    OPUS = 107

    @property
    def ticks(self) -> int:
        """What 20 ms are on the codec's clock (RFC 3551; for Opus, RFC 7587, 4.1)."""
        return 960 if self is Codec.OPUS else 160


_CODEC_NAME: Final = {Codec.ALAW: "PCMA/8000", Codec.G722: "G722/8000", Codec.OPUS: "opus/48000/2"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SipMessage:
    """A request or a response.

    `first` is its first line; `headers` stand in the order they came in.
    """

    first: str
    headers: tuple[tuple[str, str], ...]
    body: str = ""

    @classmethod
    def parse(cls, datagram: bytes) -> Self:
        """Read a datagram; what is not UTF-8 is replaced."""
        head, _, body = datagram.decode("utf-8", "replace").partition(_END * 2)
        first, *lines = head.split(_END)
        named = (line.partition(":") for line in lines)
        return cls(first=first, headers=tuple((name.strip().lower(), value.strip()) for name, _, value in named), body=body)

    def encode(self) -> bytes:
        """As it is sent, its length counted."""
        body = self.body.encode()
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers), f"Content-Length: {len(body)}", "", ""]
        return _END.join(lines).encode() + body

    def header(self, name: str) -> str:
        """The first header of this name (in lower case), empty if there is none."""
        return next((value for known, value in self.headers if known == name), "")

    @property
    def status(self) -> int:
        """The status of a response, 0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """INVITE, BYE …: of a request its own, of a response the request's."""
        return self.header("cseq").rpartition(" ")[2]

    @property
    def branch(self) -> str:
        """Which transaction it belongs to (section 17.1.3)."""
        found = re.search(r";branch=([^;,\s]+)", self.header("via"))
        return found.group(1) if found else ""

    @property
    def contact(self) -> str:
        """The address where the sender wants the next request of this dialog."""
        return self.header("contact").partition("<")[2].partition(">")[0]

    @property
    def fragment_status(self) -> int:
        """What a NOTIFY tells of a transfer (RFC 3515): the status in its body, 0 without one."""
        return int(self.body.split()[1]) if self.body.startswith("SIP/2.0 ") else 0

    def answered(self, status: str, *, tag: str, more: tuple[tuple[str, str], ...] = (), body: str = "") -> "SipMessage":
        """The response to this request: `status` is "200 OK" or the like.

        `tag` names our end of the dialog.
        """
        kept = [(name, value) for name, value in self.headers if name in ("via", "from", "call-id", "cseq", "record-route")]
        to = self.header("to")
        to = to if ";tag=" in to else f"{to};tag={tag}"
        return SipMessage(first=f"SIP/2.0 {status}", headers=(*kept, ("to", to), *more), body=body)


def tag_of(party: str) -> str:
    """The tag in a From or To header, empty if it has none."""
    return party.rpartition(";tag=")[2].partition(";")[0] if ";tag=" in party else ""


def new_tag() -> str:
    """A name for our end of a dialog."""
    return secrets.token_hex(6)


def new_branch() -> str:
    """A name for a new transaction; it begins with the magic cookie (section 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def quoted(name: str) -> str:
    """A display name as a quoted string (section 25.1) and a blank; nothing for no name."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" ' if name else ""


def session(address: Address, codec: Codec, *, version: int, direction: str = "sendrecv") -> str:
    """A description of our audio.

    `direction` is sendrecv, or sendonly to put the other party on hold (RFC 3264, 8.4).
    """
    lines = (
        "v=0",
        f"o=lab 1 {version} IN IP4 {address[0]}",
        "s=-",
        f"c=IN IP4 {address[0]}",
        "t=0 0",
        f"m=audio {address[1]} RTP/AVP {codec:d} {TELEPHONE_EVENT}",
        f"a=rtpmap:{codec:d} {_CODEC_NAME[codec]}",
        f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
        f"a=fmtp:{TELEPHONE_EVENT} 0-15",
        "a=ptime:20",
        f"a={direction}",
        "",
    )
    return _END.join(lines)


def audio_address(body: str) -> Address | None:
    """Where a session description wants its audio, or None if it says nothing of that."""
    host = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host.group(1), int(port.group(1))) if host and port else None
