"""Selections: the parameters of `GET /api/calls` as values, and as SQL conditions."""

from collections.abc import Iterator
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

_LONGEST_MS: Final = 2**31 - 1  # of a 32-bit column; PostgreSQL refuses larger values


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
    """Conditions that all apply; None or an empty tuple is no condition."""

    period: Period
    zone: ZoneInfo
    time_from: time | None = None
    time_to: time | None = None
    weekdays: tuple[int, ...] = ()  # 1 is Monday (ISO 8601)
    min_s: int | None = None
    max_s: int | None = None
    talk_min_s: int | None = None
    talk_max_s: int | None = None
    silence_min_s: int | None = None  # the longest silence
    employee_share_min: int | None = None  # of the speech of both sides, in percent
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
    trunk: str | None = None
    queue: str | None = None
    trunk_names: tuple[str, ...] = ()
    queue_names: tuple[str, ...] = ()
    wait_min_s: int | None = None
    wait_max_s: int | None = None
    mos_min: float | None = None
    mos_below: float | None = None


def conditions(selection: Selection, visible: VisibleCalls, now: datetime) -> ColumnElement[bool]:
    """Return the selection as one condition on the visible calls.

    `resolve_employee_filter` must have replaced `employee`. Calls in progress last until `now`.
    """
    assert selection.employee is None
    # SQLite evaluates conditions in this order: the cheapest come first.
    return and_(
        visible.condition,
        _began_in(visible.started_at, selection.period),
        _of_kind(selection.kind, visible),
        *_list_conditions(selection, visible),
        *_time_conditions(selection, visible),
        *_length_conditions(selection, now),
        *_speech_conditions(selection, visible),
        *_quality_conditions(selection),
        *_text_conditions(selection),
    )


def _list_conditions(selection: Selection, visible: VisibleCalls) -> Iterator[ColumnElement[bool]]:
    c = calls.c
    if selection.directions:
        yield c.direction.in_(selection.directions)
    if selection.results:
        yield c.result.in_(selection.results)
    if selection.users:
        yield visible.call_id.in_(_calls_of_users(selection, visible))
    if selection.numbers:
        yield c.number.in_(selection.numbers)
    if selection.employee_logins:
        yield c.employee.in_(selection.employee_logins)
    if selection.trunk_names:
        yield c.trunk.in_(selection.trunk_names)
    if selection.queue_names:
        yield c.queue.in_(selection.queue_names)
    if selection.recorded is not None:
        yield _has_audio(visible) if selection.recorded else ~_has_audio(visible)


def _time_conditions(selection: Selection, visible: VisibleCalls) -> Iterator[ColumnElement[bool]]:
    if selection.time_from is not None or selection.time_to is not None:
        first, last = selection.time_from or time(), selection.time_to or time()
        yield at_time_of_day(visible.started_at, first, last, selection.period, selection.zone)
    if selection.weekdays:
        yield on_weekdays(visible.started_at, selection.weekdays, selection.period, selection.zone)


def _length_conditions(selection: Selection, now: datetime) -> Iterator[ColumnElement[bool]]:
    if selection.min_s is not None:
        yield duration_s(now) >= selection.min_s
    if selection.max_s is not None:
        yield duration_s(now) <= selection.max_s
    if selection.talk_min_s is not None:
        yield calls.c.talk_ms >= shortest_ms(selection.talk_min_s)
    if selection.talk_max_s is not None:
        yield calls.c.talk_ms < shortest_ms(selection.talk_max_s + 1)
    if selection.wait_min_s is not None:
        yield calls.c.wait_ms >= shortest_ms(selection.wait_min_s)
    if selection.wait_max_s is not None:
        yield calls.c.wait_ms < shortest_ms(selection.wait_max_s + 1)


def _speech_conditions(selection: Selection, visible: VisibleCalls) -> Iterator[ColumnElement[bool]]:
    c = visible.speech
    if selection.silence_min_s is not None:
        yield c.longest_silence_ms >= min(selection.silence_min_s * 1000, _LONGEST_MS)
    if selection.employee_share_min is not None:
        spoken = c.spoken_outside_ms + c.spoken_employee_ms
        yield and_(spoken > 0, c.spoken_employee_ms * 100 >= spoken * selection.employee_share_min)


def _quality_conditions(selection: Selection) -> Iterator[ColumnElement[bool]]:
    mos = calls.c.quality_mos
    if selection.mos_min is not None or selection.mos_below is not None:
        yield mos.is_not(None)  # as its index has it
    if selection.mos_min is not None:
        yield mos >= selection.mos_min
    if selection.mos_below is not None:
        yield mos < selection.mos_below


def _text_conditions(selection: Selection) -> Iterator[ColumnElement[bool]]:
    c = calls.c
    parties = ((c.src, selection.src), (c.dst, selection.dst), (c.answered_by, selection.answered_by))
    for column, text in (*parties, (c.trunk, selection.trunk), (c.queue, selection.queue)):
        if text:
            yield _contains(column, text)


def _began_in(column: ColumnElement[Any], within: Period) -> ColumnElement[bool]:
    return (column >= within.start) & (column < within.end)


def duration_s(now: datetime) -> ColumnElement[int]:
    """Return the whole seconds from start to end; of a call in progress, to `now`."""
    so_far = (literal(milliseconds(now) + 500, BigInteger) - type_coerce(calls.c.started_at, BigInteger)) // 1000
    return func.coalesce(calls.c.duration_s, so_far)


def shortest_ms(seconds: int) -> int:
    """Return the shortest length that rounds to this number of whole seconds."""
    return min(max(0, seconds * 1000 - 500), _LONGEST_MS)


def _calls_of_users(selection: Selection, visible: VisibleCalls) -> Select[Any]:
    """Select the keys of the calls of some users, a small part of the company's calls."""
    others = participants.alias()  # `participants` may be joined already
    of_users = (others.c.domain_id == visible.domain_id) & others.c.login.in_(selection.users)
    return select(others.c.call_id).where(of_users, _began_in(others.c.started_at, selection.period))


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


def _contains(column: ColumnElement[str | None], text: str) -> ColumnElement[bool]:
    """Test for a substring regardless of case. Digits need no folding, which is cheaper."""
    if text.isdecimal():
        return column.contains(text, autoescape=True)
    return func.lower(column).contains(text.lower(), autoescape=True)
