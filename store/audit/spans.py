"""Spans of a recording, in milliseconds. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """A part of a recording, from `start` up to `end`."""

    start: int
    end: int


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans in order, with those that overlap or touch joined."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def covers(spans: Iterable[Span], wanted: Span) -> bool:
    """Whether one of some disjoint spans holds all of another one."""
    return any(span.start <= wanted.start and wanted.end <= span.end for span in spans)
