"""Which calls are asked for: the parameters of `GET /api/calls` as values, and their meaning as SQL conditions."""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, true, type_coerce
from sqlalchemy.types import BigInteger

from fonoteka.core.call_report import Direction, RecordingState, Result
from store.database.schema import calls, milliseconds, participants
from store.selection.period import Period, at_time_of_day, on_weekdays
from store.selection.scope import VisibleCalls

_LONGEST_MS: Final = 2**31 - 1  # no column of a length holds more, and PostgreSQL compares with nothing that does not fit it


class Kind(StrEnum):
    """The quick filter (manual, IV: «Быстрый фильтр»)."""

    ALL = "all"
    IN = "in"
    OUT = "out"
    INTERNAL = "internal"
    MISSED = "missed"
    MISSED_CALLED_BACK = "missed_called_back"
    MISSED_NOT_CALLED_BACK = "missed_not_called_back"
    RECORDED = "recorded"


class Sort(StrEnum):
    """The order of a list; `-` is descending."""

    STARTED_UP = "started_at"
    STARTED_DOWN = "-started_at"
    DURATION_UP = "duration_s"
    DURATION_DOWN = "-duration_s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """All conditions hold together; None or an empty tuple is no condition."""

    period: Period
    zone: ZoneInfo
    time_from: time | None = None
    time_to: time | None = None
    weekdays: tuple[int, ...] = ()  # 1 is Monday (ISO 8601)
    min_s: int | None = None
    max_s: int | None = None
    talk_min_s: int | None = None
    talk_max_s: int | None = None
    directions: tuple[Direction, ...] = ()
    results: tuple[Result, ...] = ()
    kind: Kind = Kind.ALL
    users: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    src: str | None = None
    dst: str | None = None
    answered_by: str | None = None
    employee: str | None = None
    employee_logins: tuple[str, ...] = ()
    recorded: bool | None = None


def conditions(selection: Selection, visible: VisibleCalls, now: datetime) -> ColumnElement[bool]:
    """The selection as one condition on the visible calls.

    `employee` must have become `employee_logins` by then (`employee_logins`); `now` is what the length of a call that goes
    on is counted to.
    """
    assert selection.employee is None
    c = calls.c
    wanted = [visible.condition, _began_in(visible.started_at, selection.period)]
    # SQLite asks in this order: first what costs least to ask.
    wanted.append(_of_kind(selection.kind, visible))
    if selection.directions:
        wanted.append(c.direction.in_(selection.directions))
    if selection.results:
        wanted.append(c.result.in_(selection.results))
    if selection.users:
        wanted.append(visible.call_id.in_(_calls_of(selection, visible)))
    if selection.numbers:
        wanted.append(c.number.in_(selection.numbers))
    if selection.employee_logins:
        wanted.append(c.employee.in_(selection.employee_logins))
    if selection.recorded is not None:
        wanted.append(_has_audio(visible) if selection.recorded else ~_has_audio(visible))
    if selection.time_from is not None or selection.time_to is not None:
        first, last = selection.time_from or time(), selection.time_to or time()
        wanted.append(at_time_of_day(visible.started_at, first, last, selection.period, selection.zone))
    if selection.weekdays:
        wanted.append(on_weekdays(visible.started_at, selection.weekdays, selection.period, selection.zone))
    if selection.min_s is not None:
        wanted.append(duration_s(now) >= selection.min_s)
    if selection.max_s is not None:
        wanted.append(duration_s(now) <= selection.max_s)
    if selection.talk_min_s is not None:
        wanted.append(c.talk_ms >= shortest_ms(selection.talk_min_s))
    if selection.talk_max_s is not None:
        wanted.append(c.talk_ms < shortest_ms(selection.talk_max_s + 1))
    for column, piece in ((c.src, selection.src), (c.dst, selection.dst), (c.answered_by, selection.answered_by)):
        if piece:
            wanted.append(_holds(column, piece))
    return and_(*wanted)


def _began_in(column: ColumnElement[Any], within: Period) -> ColumnElement[bool]:
    return (column >= within.start) & (column < within.end)


def duration_s(now: datetime) -> ColumnElement[int]:
    """Whole seconds from start to end, of a call that goes on up to `now`."""
    so_far = (literal(milliseconds(now) + 500, BigInteger) - type_coerce(calls.c.started_at, BigInteger)) // 1000
    return func.coalesce(calls.c.duration_s, so_far)


def shortest_ms(seconds: int) -> int:
    """The shortest length that is told as so many whole seconds (rounded half up)."""
    return min(max(0, seconds * 1000 - 500), _LONGEST_MS)


def _calls_of(selection: Selection, visible: VisibleCalls) -> Select[Any]:
    """The keys of the calls of some users: a few thousand, where the company has a hundred times as many."""
    theirs = participants.alias()  # lest a user's own row, which is joined already, be the only one looked at
    mine = (theirs.c.domain_id == visible.domain_id) & theirs.c.login.in_(selection.users)
    return select(theirs.c.call_id).where(mine, _began_in(theirs.c.started_at, selection.period))


def _has_audio(visible: VisibleCalls) -> ColumnElement[bool]:
    return visible.recording_state.in_((RecordingState.READY, RecordingState.PARTIAL))


def _of_kind(kind: Kind, visible: VisibleCalls) -> ColumnElement[bool]:
    c = calls.c
    missed = and_(c.direction == Direction.IN, c.result != Result.ANSWERED)
    table: dict[Kind, ColumnElement[bool]] = {
        Kind.ALL: true(),
        Kind.IN: c.direction == Direction.IN,
        Kind.OUT: c.direction == Direction.OUT,
        Kind.INTERNAL: c.direction == Direction.INTERNAL,
        Kind.MISSED: missed,
        Kind.MISSED_CALLED_BACK: and_(missed, c.called_back_at.is_not(None)),
        Kind.MISSED_NOT_CALLED_BACK: and_(missed, c.called_back_at.is_(None)),
        Kind.RECORDED: _has_audio(visible),
    }
    return table[kind]


def _holds(column: ColumnElement[str | None], piece: str) -> ColumnElement[bool]:
    """Substring, case folded. Digits have no case, and comparing without folding is the cheaper."""
    if piece.isdecimal():
        return column.contains(piece, autoescape=True)
    return func.lower(column).contains(piece.lower(), autoescape=True)
