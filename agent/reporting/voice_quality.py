"""The quality of each leg of a call, from what Asterisk counted: `legs(call) → LegQuality`, pure.

The mean opinion score is that of the E-model (ITU-T G.107) with its defaults, for G.711 with
concealment of lost packets (G.113: Ie = 0, Bpl = 25.1); decision 37 says why not Asterisk's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.calls.call_state import Call, Channel
from agent.calls.stream_figures import Stream
from fonoteka.core.call_report import Quality

_DEFAULT_R: Final = 93.2
_ROBUSTNESS: Final = 25.1  # Bpl, in percent
_PACKET_MS: Final = 20.0
_LATE_MS: Final = 177.3


@dataclass(frozen=True, kw_only=True, slots=True)
class LegQuality:
    """How the sound of one channel arrived, in its worse direction.

    `heard`: the figures are those of what the party sent, so the party was heard so; otherwise the
    party heard so.
    """

    channel: Channel
    heard: bool
    quality: Quality


def legs(call: Call) -> list[LegQuality]:
    """Return the legs that talked and whose figures are known, the worst leg first."""
    measured = (leg for channel in call.channels.values() if channel.first_bridged_at is not None for leg in _worse(channel))
    return sorted(measured, key=_badness)


def _worse(channel: Channel) -> Iterator[LegQuality]:
    """Yield the worse direction of a channel, if any was counted."""
    figures = channel.figures
    if figures is None:
        return
    both = [
        LegQuality(channel=channel, heard=heard, quality=_quality(stream, figures.rtt_ms))
        for heard, stream in ((True, figures.from_party), (False, figures.to_party))
        if stream is not None
    ]
    yield from sorted(both, key=_badness)[:1]


def _badness(leg: LegQuality) -> tuple[float, float, int]:
    return leg.quality.mos, -leg.quality.loss_pct, -leg.quality.jitter_ms


def _quality(stream: Stream, rtt_ms: float | None) -> Quality:
    return Quality(
        mos=mean_opinion_score(stream, rtt_ms),
        loss_pct=round(stream.loss_pct, 1),
        jitter_ms=round(stream.jitter_ms),
        rtt_ms=round(rtt_ms) if rtt_ms is not None else None,
    )


def mean_opinion_score(stream: Stream, rtt_ms: float | None) -> float:
    """Return the score, from 1 (bad) to 4.41, with two decimals.

    The delay is half the round trip, a packet, and a jitter buffer of twice the jitter.
    """
    delay_ms = (rtt_ms or 0.0) / 2 + _PACKET_MS + 2 * stream.jitter_ms
    by_delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - _LATE_MS)
    by_loss = 95 * stream.loss_pct / (stream.loss_pct + _ROBUSTNESS)
    r = max(0.0, _DEFAULT_R - by_delay - by_loss)
    return round(max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6), 2)
