"""RTP as a telephone sends it (RFC 3550).

20 ms of audio at a time, digits as telephone events (RFC 4733).

One thread keeps time for every telephone of the process, so that a busy event loop does not make
anybody stammer. What is late is sent at once: no audio is ever left out.
"""

import secrets
import socket
import struct
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from lab.base.priority import foremost
from lab.sip.message import TELEPHONE_EVENT, Address, Codec
from lab.sip.rtcp import receiver_report

FRAME_S: Final = 0.02
FRAME_BYTES: Final = 160
_TICKS: Final = 160  # of the 8 kHz clock in a frame
_HEADER: Final = struct.Struct("!BBHII")
_EVENT: Final = struct.Struct("!BBH")
_KEYS: Final = "0123456789*#ABCD"
_KEY_FRAMES: Final = 5
_PAUSE_FRAMES: Final = 5
_VOLUME: Final = 10  # -10 dBm0
_END_OF_EVENT: Final = 0x80
_SILENCE: Final = {Codec.ALAW: b"\xd5", Codec.G722: b"\xfa"}
# Nothing for longer than this is silence, less is a late packet.
_LAPSE_BYTES: Final = 3 * FRAME_BYTES

# One step of 20 ms: an event's payload and whether it opens the event, or None for audio.
_Step = tuple[bytes, bool] | None


class RtpStream:
    """What one party sends in one call.

    `audio` (raw, as the codec has it) over and over, and the keys that are pressed.

    `first_number` is the sequence number it begins after (RFC 3550, 5.1, wants any but a fixed
    one).
    """

    def __init__(self, codec: Codec, audio: bytes, *, first_number: int = 0) -> None:
        self._codec = codec
        self._frames = [audio[start : start + FRAME_BYTES] for start in range(0, len(audio) - FRAME_BYTES + 1, FRAME_BYTES)]
        self._next = 0
        self.source = secrets.randbits(32)
        self._sequence, self._timestamp = first_number & 0xFFFF, 0
        self._event_timestamp = 0
        self._steps: deque[_Step | Future[None]] = deque()
        # Sends no audio at all, as a telephone that holds or that saves the network its silence.
        self.silent = False
        self.muted = False  # sends silence
        self.loses_every = 0  # one of so many packets is lost on its way

    def begun_anew(self) -> "RtpStream":
        """The same sound from another source, numbered lower.

        What Asterisk's recorder takes for late packets and leaves out.
        """
        return RtpStream(self._codec, b"".join(self._frames), first_number=self._sequence - 3000)

    def report(self, lost: int, jitter_ms: int) -> bytes:
        """An RTCP receiver report (RFC 3550, 6.4.2): what the telephone says that it has missed."""
        return receiver_report(self.source, lost=lost, jitter_ms=jitter_ms)

    @property
    def is_lost(self) -> bool:
        """Whether the packet that was made last is lost on its way."""
        return self.loses_every > 0 and self._sequence % self.loses_every == 0

    def press(self, keys: str) -> Future[None]:
        """Send the keys, each for 100 ms with 100 ms after it; done when the last is sent."""
        done: Future[None] = Future()
        steps: list[_Step | Future[None]] = []
        for key in keys:
            code = _KEYS.index(key)
            steps += [(_EVENT.pack(code, _VOLUME, frame * _TICKS), frame == 1) for frame in range(1, _KEY_FRAMES + 1)]
            # The end is sent three times (RFC 4733, 2.5.1.4): any one of them will do.
            steps += [(_EVENT.pack(code, _VOLUME | _END_OF_EVENT, _KEY_FRAMES * _TICKS), False)] * 3
            steps += [None] * _PAUSE_FRAMES
        self._steps.extend([*steps, done])
        return done

    def next_packet(self) -> bytes | None:
        """The packet of the next 20 ms; None for silence."""
        self._timestamp = (self._timestamp + self._codec.ticks) & 0xFFFFFFFF
        step = self._steps.popleft() if self._steps else None
        if isinstance(step, Future):
            if not step.cancelled():
                step.set_result(None)
            step = None
        if step is not None:
            payload, first = step
            if first:
                self._event_timestamp = self._timestamp
            return self._packet(TELEPHONE_EVENT | (0x80 if first else 0), self._event_timestamp) + payload
        if self.silent or not self._frames:
            return None
        frame = self._frames[self._next]
        self._next = (self._next + 1) % len(self._frames)
        return self._packet(self._codec, self._timestamp) + (_SILENCE[self._codec] * FRAME_BYTES if self.muted else frame)

    def _packet(self, kind: int, timestamp: int) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return _HEADER.pack(0x80, kind, self._sequence, timestamp, self.source)


class AudioSocket:
    """One end of a call's audio.

    Unless it `listens`, what arrives is left to the kernel to throw away.
    """

    def __init__(self, address: str, *, listens: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20 if listens else 0)
        self._socket.bind((address, 0))
        self._socket.setblocking(False)
        self._listens = listens
        self._heard = bytearray()
        self._heard_since = 0.0
        self.address: Address = self._socket.getsockname()
        self.stream: RtpStream | None = None

    def connect(self, peer: Address) -> None:
        """Send to this address from now on."""
        self._socket.connect(peer)

    def report(self, lost: int, jitter_ms: int) -> None:
        """Report what was heard, to the port beside that of the audio (RFC 3550, 11)."""
        assert self.stream is not None, "no report before the answer"
        host, port = self._socket.getpeername()
        self._socket.sendto(self.stream.report(lost, jitter_ms), (host, port + 1))

    def tick(self) -> None:
        """Send what is due; take what has come."""
        if self.stream is not None and (packet := self.stream.next_packet()) is not None and not self.stream.is_lost:
            with suppress(OSError):  # the other end has closed its port, or is not known yet
                self._socket.send(packet)
        while self._listens:
            try:
                packet = self._socket.recv(2048)
            except OSError:
                break
            if packet[1] & 0x7F in _SILENCE:
                self._hear(packet[_HEADER.size :], _SILENCE[Codec(packet[1] & 0x7F)])

    def heard(self) -> bytes:
        """All audio that has come so far, as the codec has it, from the first packet on.

        Where none came there is silence.
        """
        return bytes(self._heard)

    def _hear(self, payload: bytes, silence: bytes) -> None:
        now = time.monotonic()
        self._heard_since = self._heard_since or now
        missing = round((now - self._heard_since) / FRAME_S) * FRAME_BYTES - len(self._heard)
        if missing > _LAPSE_BYTES:
            self._heard += silence * missing
        self._heard += payload

    def close(self) -> None:
        """No more of it."""
        PACER.leave(self)
        self._socket.close()


class Pacer:
    """Keeps the time of all audio sockets: each is ticked every 20 ms.

    Its thread phone_calls while there are any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: tuple[AudioSocket, ...] = ()
        self._thread: threading.Thread | None = None

    def join(self, audio: AudioSocket) -> None:
        """Begin to tick a socket; one that is ticked already stays so."""
        with self._lock:
            self._sockets = (*(known for known in self._sockets if known is not audio), audio)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lab-rtp", daemon=True)
                self._thread.start()

    def leave(self, audio: AudioSocket) -> None:
        """Tick it no more."""
        with self._lock:
            self._sockets = tuple(known for known in self._sockets if known is not audio)

    def _run(self) -> None:
        with foremost():
            self._keep_time()

    def _keep_time(self) -> None:
        due = time.monotonic()
        while True:
            with self._lock:
                sockets = self._sockets
                if not sockets:
                    self._thread = None
                    return
            for audio in sockets:
                audio.tick()
            due += FRAME_S
            time.sleep(max(0.0, due - time.monotonic()))


PACER: Final = Pacer()
