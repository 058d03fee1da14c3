"""The wire format of a handset: messages, the audio they agree on, packets of sound and of keys."""

import struct

import pytest

from lab.sip.message import TELEPHONE_EVENT, Codec, SipMessage, audio_address, quoted, session, tag_of
from lab.sip.rtp import FRAME_BYTES, RtpStream

INVITE = (
    b"INVITE sip:lab@127.0.0.9:5070 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKabc\r\n"
    b'From: "A, B" <sip:89131234567@127.0.0.1>;tag=them\r\n'
    b"To: <sip:lab@127.0.0.9>\r\n"
    b"Contact: <sip:asterisk@127.0.0.1:5060>\r\n"
    b"Call-ID: one@there\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 46\r\n\r\n"
    b"c=IN IP4 127.0.0.1\r\nm=audio 10500 RTP/AVP 8\r\n"
)


def test_a_request_is_read() -> None:
    message = SipMessage.parse(INVITE)
    assert (message.status, message.method, message.branch) == (0, "INVITE", "z9hG4bKabc")
    assert (message.header("call-id"), message.contact) == ("one@there", "sip:asterisk@127.0.0.1:5060")
    assert (tag_of(message.header("from")), tag_of(message.header("to"))) == ("them", "")
    assert audio_address(message.body) == ("127.0.0.1", 10500)


def test_an_answer_repeats_what_it_answers() -> None:
    answer = SipMessage.parse(SipMessage.parse(INVITE).answered("180 Ringing", tag="us").encode())
    assert (answer.status, answer.method, answer.branch) == (180, "INVITE", "z9hG4bKabc")
    assert (tag_of(answer.header("from")), tag_of(answer.header("to"))) == ("them", "us")
    assert answer.header("content-length") == "0"


@pytest.mark.parametrize(("body", "status"), [("SIP/2.0 200 OK", 200), ("SIP/2.0 486 Busy Here\r\n", 486), ("", 0)])
def test_what_a_notify_tells_of_a_transfer(body: str, status: int) -> None:
    assert SipMessage(first="NOTIFY sip:a SIP/2.0", headers=(), body=body).fragment_status == status


@pytest.mark.parametrize(("name", "written"), [("", ""), ("Пётр", '"Пётр" '), ('a "b" \\', '"a \\"b\\" \\\\" ')])
def test_a_display_name_is_quoted(name: str, written: str) -> None:
    assert quoted(name) == written


@pytest.mark.parametrize("codec", list(Codec))
def test_the_audio_that_is_offered(codec: Codec) -> None:
    described = session(("127.0.0.1", 4000), codec, version=2, direction="sendonly")
    assert audio_address(described) == ("127.0.0.1", 4000)
    assert f"RTP/AVP {codec:d} {TELEPHONE_EVENT}\r\n" in described
    assert described.endswith("a=sendonly\r\n")


def _packets(stream: RtpStream, count: int) -> list[tuple[int, int, int, bytes] | None]:
    """Kind (with the marker), number, time and payload of so many packets."""
    sent = [stream.next_packet() for _ in range(count)]
    return [None if one is None else (*struct.unpack("!xBHI4x", one[:12]), one[12:]) for one in sent]


def test_audio_goes_round_and_its_numbers_too() -> None:
    audio = bytes([1]) * FRAME_BYTES + bytes([2]) * FRAME_BYTES
    one, two, three = _packets(RtpStream(Codec.ALAW, audio, first_number=0xFFFE), 3)
    assert [one, two, three] == [
        (8, 0xFFFF, 160, audio[:FRAME_BYTES]),
        (8, 0x0000, 320, audio[FRAME_BYTES:]),
        (8, 0x0001, 480, audio[:FRAME_BYTES]),
    ]


def test_another_source_is_numbered_lower() -> None:
    stream = RtpStream(Codec.ALAW, bytes(FRAME_BYTES), first_number=100)
    one, other = stream.next_packet() or b"", stream.begun_anew().next_packet() or b""
    assert struct.unpack("!H", one[2:4])[0] == 101
    assert struct.unpack("!H", other[2:4])[0] == (102 - 3000) % 65536
    assert one[8:12] != other[8:12]


def test_time_goes_on_in_silence() -> None:
    stream = RtpStream(Codec.G722, bytes(FRAME_BYTES))
    stream.silent = True
    assert _packets(stream, 3) == [None, None, None]
    stream.silent = False
    assert _packets(stream, 1) == [(9, 1, 640, bytes(FRAME_BYTES))]


def test_keys_are_events() -> None:
    stream = RtpStream(Codec.ALAW, bytes(FRAME_BYTES))
    done = stream.press("*")
    sent = [packet for packet in _packets(stream, 13) if packet is not None]
    events = [(kind, time, payload) for kind, _, time, payload in sent if kind & 0x7F == TELEPHONE_EVENT]
    lengths = [struct.unpack("!BBH", payload) for _, _, payload in events]
    assert [kind >> 7 for kind, _, _ in events] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert {time for _, time, _ in events} == {160}, "an event's packets all bear the time of its beginning"
    assert lengths == [(10, 10, 160 * n) for n in range(1, 6)] + [(10, 0x8A, 800)] * 3
    assert [number for _, number, _, _ in sent] == list(range(1, 14))
    assert not done.done()
    stream.next_packet()
    assert done.done()
