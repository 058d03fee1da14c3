"""What Asterisk tells of the sound of a channel when it ends: its variable RTPAUDIOQOS.

Asterisk counts what it receives from the party, and the party reports what it receives from
Asterisk (RTCP, RFC 3550). Both are counted at each report, every five seconds: a shorter stream has
no figures, and the last seconds of a longer one are in none. In the text, `lp` and `txjitter` are
of what Asterisk received, `rlp` and `rxjitter` of what the party reported; `txmes` and `rxmes` are
0 where there was no report of that direction (res/res_rtp_asterisk.c, ast_rtp_get_stat).

Sequence numbers wrap after 65,535. If packets arrive out of order at the wrap, Asterisk counts the
wrap twice, and reports 65,536 lost packets too many.
"""

import re
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "RTPAUDIOQOS"
FEWEST_PACKETS: Final = 100  # two seconds: fewer come before media goes directly from party to party
_FIELD: Final = re.compile(r"(\w+)=(\d{1,10}(?:\.\d{1,9})?)(?:;|$)")
_CYCLE: Final = 1 << 16
_MOST_LOST: Final = 0x7FFFFF  # RFC 3550 has a signed number of 24 bits: more means that packets came twice
_MOST_JITTER_MS: Final = 1000.0
_MOST_RTT_MS: Final = 10_000.0  # more is a difference of clocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One direction, as its receiver counted it: the packets that were due, and the lost ones."""

    packets: int
    lost: int
    jitter_ms: float

    @property
    def loss_pct(self) -> float:
        """The share of packets that were lost."""
        return 100 * self.lost / self.packets


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamFigures:
    """Both directions of the sound of a channel; None where nobody counted."""

    from_party: Stream | None
    to_party: Stream | None
    rtt_ms: float | None


def read_figures(text: str) -> StreamFigures | None:
    """Return the figures in the text of RTPAUDIOQOS, or None if it tells nothing."""
    fields = {key: float(value) for key, value in _FIELD.findall(text)}
    received, sent = int(fields.get("rxcount", 0)), int(fields.get("txcount", 0))
    # Both sides send for about as long: more packets than Asterisk sent are a cycle counted twice.
    lost = _lost(fields.get("lp", 0), most=sent - received + _CYCLE // 2)
    reported_lost = _lost(fields.get("rlp", 0), most=sent)
    from_party = _stream(fields.get("txmes", 0), received + lost, lost, fields.get("txjitter", 0))
    to_party = _stream(fields.get("rxmes", 0), sent, min(sent, reported_lost), fields.get("rxjitter", 0))
    if from_party is None and to_party is None:
        return None
    rtt_ms = 1000 * fields.get("rtt", 0)
    return StreamFigures(from_party=from_party, to_party=to_party, rtt_ms=rtt_ms if 0 < rtt_ms <= _MOST_RTT_MS else None)


def _lost(count: float, *, most: int) -> int:
    """Return the lost packets, without the cycles that make them more than `most`."""
    lost = int(count) if count <= _MOST_LOST else 0
    while lost >= _CYCLE and lost > most:
        lost -= _CYCLE
    return lost


def _stream(score: float, packets: int, lost: int, jitter_s: float) -> Stream | None:
    if score == 0 or packets < FEWEST_PACKETS:
        return None
    return Stream(packets=packets, lost=lost, jitter_ms=min(1000 * jitter_s, _MOST_JITTER_MS))
