"""Where the segments of a call lie in its sound, in which each moment is heard once. Pure.

Talks follow each other without the pauses between them. Segments of different users at the same
moment have the same sound (a page, a conference): the longest is heard, and of the others the rest.
Segments of one user at the same moment are talks on two lines (the customer on hold, and an
enquiry): they are mixed, so that nothing is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Beginnings are as exact as events: segments that overlap by less follow each other.
NEAR_MS: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """The audio of a segment, on the clock of the call."""

    user: str
    started_at: datetime
    duration_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """What is heard of a segment, by its index: from `from_ms` of its audio, at `offset_ms`."""

    segment: int
    from_ms: int
    duration_ms: int
    offset_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a segment lies in the sound, whether it is heard there itself or another one."""

    offset_ms: int
    duration_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sound:
    """The sound of a call: its pieces by their offset, and a place for each segment."""

    duration_ms: int
    pieces: tuple[Piece, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class _Span:
    """A span of time, in milliseconds since the first segment began."""

    begin: int
    end: int
    segment: int

    def overlaps(self, begin: int, end: int) -> bool:
        """Whether both have the same moments, more of them than clocks may be off."""
        common, shorter = min(self.end, end) - max(self.begin, begin), min(self.end - self.begin, end - begin)
        return common > min(NEAR_MS, shorter // 2) or common == shorter

    def without(self, other: "_Span") -> Iterable["_Span"]:
        """Return the rest of this span beside another one."""
        if not self.overlaps(other.begin, other.end):
            return (self,)
        before = _Span(begin=self.begin, end=other.begin, segment=self.segment)
        after = _Span(begin=other.end, end=self.end, segment=self.segment)
        return (rest for rest in (before, after) if rest.end - rest.begin > NEAR_MS)


def one_sound(stretches: Sequence[Stretch]) -> Sound:
    """Return the sound of segments, which are given in the order of their beginning."""
    if not stretches:
        return Sound(duration_ms=0, pieces=(), places=())
    spans = _spans(stretches)
    heard = _placed(sorted(_heard(spans, [stretch.user for stretch in stretches])), spans)
    duration_ms = max(piece.offset_ms + piece.duration_ms for piece in heard)
    return Sound(
        duration_ms=duration_ms, pieces=tuple(heard), places=tuple(_place(span, heard, spans, duration_ms) for span in spans)
    )


def _spans(stretches: Sequence[Stretch]) -> list[_Span]:
    first = min(stretch.started_at for stretch in stretches)
    begins = [round((stretch.started_at - first) / timedelta(milliseconds=1)) for stretch in stretches]
    lengths_ms = [stretch.duration_ms for stretch in stretches]
    return [
        _Span(begin=begin, end=begin + length_ms, segment=index)
        for index, (begin, length_ms) in enumerate(zip(begins, lengths_ms, strict=True))
    ]


def _heard(spans: Sequence[_Span], users: Sequence[str]) -> list[_Span]:
    """Return what is heard of each segment: the longest whole, of the others what it lacks."""
    heard: list[_Span] = []
    for span in sorted(spans, key=lambda span: (span.begin - span.end, span)):
        rests: Iterable[_Span] = (span,)
        for other in [other for other in heard if users[other.segment] != users[span.segment]]:
            rests = [rest for part in rests for rest in part.without(other)]
        heard += rests
    return heard


def _placed(heard: Sequence[_Span], spans: Sequence[_Span]) -> list[Piece]:
    """Give each span an offset: beside the one that is heard in the same moment, or behind it."""
    pieces: list[Piece] = []
    began = reached = heard[0].begin  # by the clock, of what is heard without a pause
    behind_ms = later_ms = 0  # the length of the sound so far; the sound's time minus the clock's
    for span in heard:
        if not pieces or not span.overlaps(began, reached):
            began, reached, later_ms = span.begin, span.end, behind_ms - span.begin
        length_ms, offset_ms = span.end - span.begin, span.begin + later_ms
        from_ms = span.begin - spans[span.segment].begin
        pieces.append(Piece(segment=span.segment, from_ms=from_ms, duration_ms=length_ms, offset_ms=offset_ms))
        behind_ms, reached = max(behind_ms, offset_ms + length_ms), max(reached, span.end)
    return pieces


def _place(span: _Span, heard: Sequence[Piece], spans: Sequence[_Span], duration_ms: int) -> Place:
    """Return where a segment's beginning is heard: by itself, else by another one."""

    def late_ms(piece: Piece) -> int:
        """How much later than the segment the piece begins; negative: it goes on already."""
        return spans[piece.segment].begin + piece.from_ms - span.begin

    own = [piece for piece in heard if piece.segment == span.segment and piece.from_ms == 0]
    going_on = [piece for piece in heard if late_ms(piece) <= 0 < late_ms(piece) + piece.duration_ms]
    offsets_ms = [piece.offset_ms - min(0, late_ms(piece)) for piece in own or going_on]
    later = [piece.offset_ms for piece in heard if late_ms(piece) > 0]
    offset_ms = (offsets_ms or later)[0]
    return Place(offset_ms=offset_ms, duration_ms=min(span.end - span.begin, duration_ms - offset_ms))
