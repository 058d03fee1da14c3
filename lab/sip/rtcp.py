"""What a telephone tells of the audio that it received: RTCP receiver reports (RFC 3550, 6.4.2)."""

import struct
from typing import Final

RATE_HZ: Final = 8000
_RTP: Final = struct.Struct("!BBHII")
_REPORT: Final = struct.Struct("!BBHIIIIIII")
_SENDER_REPORT: Final = struct.Struct("!BBHIII")
_SENDER: Final = 200
_RECEIVER: Final = 201
_SMOOTHING: Final = 16
_CYCLE: Final = 1 << 16


def receiver_report(
    sender: int,
    *,
    source: int = 0,
    lost: int,
    lost_lately: float = 0.0,
    highest: int = 0,
    jitter_ms: float,
    answers: int = 0,
    after_s: float = 0.0,
) -> bytes:
    """Make a report on one source.

    `lost_lately` is a share, since the last report; `answers` the time of the sender report that
    came last, and `after_s` how long ago.
    """
    loss = min(255, int(256 * lost_lately)) << 24 | max(-0x800000, min(0x7FFFFF, lost)) & 0xFFFFFF
    jitter, after = round(jitter_ms * RATE_HZ / 1000), round(after_s * 65536)
    return _REPORT.pack(0x81, _RECEIVER, _REPORT.size // 4 - 1, sender, source, loss, highest, jitter, answers, after)


class Reception:
    """Counts what comes of one stream, as RFC 3550 has it in A.1, A.3 and A.8.

    A new source is counted anew. Sequence numbers may come in any order.
    """

    def __init__(self) -> None:
        self._source: int | None = None
        self._first = self._highest = self._received = 0
        self._expected_before = self._received_before = 0
        self._transit_s = self._jitter_s = 0.0
        self._answers, self._answers_since = 0, 0.0

    @property
    def lost(self) -> int:
        """The packets that were due and did not come; below 0 if packets came twice."""
        return self._expected - self._received

    @property
    def jitter_ms(self) -> float:
        """The smoothed difference of the transit times of two packets, one after the other."""
        return 1000 * self._jitter_s

    def take(self, packet: bytes, arrived_s: float) -> None:
        """Count a packet of audio."""
        _, _, number, timestamp, source = _RTP.unpack_from(packet)
        transit_s = arrived_s - timestamp / RATE_HZ
        if source != self._source:
            self._source = source
            self._first = self._highest = number
            self._received = self._expected_before = self._received_before = 0
            self._transit_s, self._jitter_s = transit_s, 0.0
        ahead = (number - self._highest + _CYCLE // 2) % _CYCLE - _CYCLE // 2
        self._highest += max(0, ahead)
        self._received += 1
        self._jitter_s += (abs(transit_s - self._transit_s) - self._jitter_s) / _SMOOTHING
        self._transit_s = transit_s

    def take_report(self, packet: bytes, arrived_s: float) -> None:
        """Note a sender report, which the next report answers."""
        if len(packet) >= _SENDER_REPORT.size and packet[1] == _SENDER:
            _, _, _, _, seconds, fraction = _SENDER_REPORT.unpack_from(packet)
            self._answers = (seconds & 0xFFFF) << 16 | fraction >> 16
            self._answers_since = arrived_s

    def report(self, sender: int, now_s: float) -> bytes | None:
        """Make the next report, or None before the first packet."""
        if self._source is None:
            return None
        expected, received = self._expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = self._expected, self._received
        return receiver_report(
            sender,
            source=self._source,
            lost=self.lost,
            lost_lately=max(0.0, (expected - received) / expected) if expected else 0.0,
            highest=self._highest,
            jitter_ms=self.jitter_ms,
            answers=self._answers,
            after_s=now_s - self._answers_since if self._answers else 0.0,
        )

    @property
    def _expected(self) -> int:
        return self._highest - self._first + 1 if self._source is not None else 0
