"""`/api/stats/…`: statistics of a selection (manual, VII), with the parameters of `/api/calls`."""

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.dependencies.access import CurrentAccount
from api.dependencies.query_slot import query_slot
from api.dependencies.services import Shared
from api.http.parameters import Score, SelectionQuery
from api.schemas import models
from api.schemas.statistics import (
    CallBacks,
    DurationBand,
    Durations,
    HourCounts,
    Hourly,
    Incoming,
    IncomingOfEmployee,
    IncomingOfNumber,
    IncomingTotals,
    LongerThan,
    Outgoing,
    OutgoingOfEmployee,
    OutgoingOfNumber,
    OutgoingTotals,
    Qualities,
    QualityOfEmployee,
    QualityOfHour,
    QualityOfTrunk,
    QualityTotals,
    Speech,
    SpeechOfEmployee,
    Waiting,
    WaitingOfHour,
    WaitingOfNumber,
    WaitingOfQueue,
    WaitingTotals,
    WeekHourCounts,
    WeekHours,
)
from fonoteka.core.call_report import Direction
from store.intake.facts import whole_seconds
from store.people.accounts import Account
from store.selection.selection import Selection
from store.statistics import reports, speech
from store.statistics.report_types import CallCounts, Group, QualityCounts, WaitCounts, total

router = APIRouter(
    prefix="/api/stats",
    tags=["statistics"],
    dependencies=[Depends(query_slot, scope="function")],
    responses={status: {"model": models.Problem} for status in (401, 422)},
)


class DurationsQuery(SelectionQuery):
    """The selection, and a duration to compare with (manual, VII: «Длительность более»)."""

    longer_than: int | None = Field(default=None, ge=0, le=10**9, description="in seconds")


class WaitingQuery(SelectionQuery):
    """The selection, and the wait within which a call ought to be answered."""

    within: int = Field(default=20, ge=0, le=10**6, description="in seconds")


class QualityQuery(SelectionQuery):
    """The selection, and the score below which a call counts as bad."""

    bad_below: Score = Field(default=4.0, description="a mean opinion score")


@router.get("/hourly", operation_id="countByHour")
async def hourly(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> Hourly:
    """Count external calls by the hour in which they began."""
    hours = await reports.by_hour(services.store, account.scope, *_selection(query, account))
    of_day = [total(group.counts for group in hours if group.hour == hour) for hour in range(24)]
    return Hourly(rows=[HourCounts(hour=hour, **_counts(counted)) for hour, counted in enumerate(of_day)])


@router.get("/week", operation_id="countByWeekHour")
async def week(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> WeekHours:
    """Count external calls by the weekday and hour in which they began."""
    hours = await reports.by_hour(services.store, account.scope, *_selection(query, account))
    of_week = {(group.weekday, group.hour): group.counts for group in hours}
    return WeekHours(
        rows=[
            WeekHourCounts(weekday=weekday, hour=hour, **_counts(of_week.get((weekday, hour), CallCounts())))
            for weekday in range(1, 8)
            for hour in range(24)
        ]
    )


@router.get("/incoming", operation_id="countIncoming")
async def incoming(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> Incoming:
    """Count incoming calls: all, by number, by the employee who answered."""
    selection, now = _selection(query, account)
    parties = await reports.by_party(services.store, account.scope, selection, Direction.IN, now)
    return Incoming(
        totals=IncomingTotals(**_incoming(parties.total)),
        by_number=[
            IncomingOfNumber(number=group.key, label=group.name, **_incoming(group.counts))
            for group in sorted(parties.by_number, key=lambda group: -_all_in(group.counts))
            if _all_in(group.counts)
        ],
        by_employee=[
            IncomingOfEmployee(login=group.key, name=group.name or group.key, calls=group.counts.incoming, talk_s=group.talk_s)
            for group in sorted(parties.by_user, key=lambda group: -group.counts.incoming)
            if group.counts.incoming
        ],
    )


@router.get("/outgoing", operation_id="countOutgoing")
async def outgoing(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> Outgoing:
    """Count outgoing calls: all, by number, by employee."""
    selection, now = _selection(query, account)
    parties = await reports.by_party(services.store, account.scope, selection, Direction.OUT, now)
    return Outgoing(
        totals=OutgoingTotals(calls=_all_out(parties.total), answered=parties.total.out),
        by_number=[
            OutgoingOfNumber(number=group.key, label=group.name, **_outgoing(group)) for group in _by_most_out(parties.by_number)
        ],
        by_employee=[
            OutgoingOfEmployee(login=group.key, name=group.name or group.key, **_outgoing(group))
            for group in _by_most_out(parties.by_user)
        ],
    )


@router.get("/speech", operation_id="sumSpeech")
async def who_spoke(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> Speech:
    """Add up who spoke how long, by employee, in the calls whose recording tells it."""
    rows = await speech.by_employee(services.store, account.scope, *_selection(query, account))
    return Speech(
        by_employee=[
            SpeechOfEmployee(
                login=row.login,
                name=row.name or row.login,
                calls=row.calls,
                outside_s=row.speech.outside_ms / 1000,
                employee_s=row.speech.employee_ms / 1000,
                overlap_s=row.speech.overlap_ms / 1000,
                silence_s=row.speech.silence_ms / 1000,
                longest_silence_s=row.speech.longest_silence_ms / 1000,
            )
            for row in rows
        ]
    )


@router.get("/durations", operation_id="countDurations")
async def durations(query: Annotated[DurationsQuery, Query()], account: CurrentAccount, services: Shared) -> Durations:
    """Count outgoing calls by their talk time."""
    selection, now = _selection(query, account)
    bands, longer = await reports.by_length(services.store, account.scope, selection, query.longer_than, now)
    return Durations(
        rows=[DurationBand(from_s=band.from_s, to_s=band.to_s, calls=band.calls) for band in bands],
        longer_than=None if query.longer_than is None or longer is None else LongerThan(seconds=query.longer_than, calls=longer),
    )


@router.get("/callbacks", operation_id="countCallBacks")
async def callbacks(query: Annotated[SelectionQuery, Query()], account: CurrentAccount, services: Shared) -> CallBacks:
    """Count missed calls, and those that were called back."""
    result = await reports.call_backs(services.store, account.scope, *_selection(query, account))
    return CallBacks(
        missed=result.missed,
        called_back=result.called_back,
        not_called_back=result.missed - result.called_back,
        median_wait_s=result.median_wait_s,
    )


@router.get("/waiting", operation_id="countWaiting")
async def waiting(query: Annotated[WaitingQuery, Query()], account: CurrentAccount, services: Shared) -> Waiting:
    """Count incoming calls by how long their callers waited: all, by queue, by number, by hour."""
    selection, now = _selection(query, account)
    waits = await reports.waits(services.store, account.scope, selection, query.within, now)
    return Waiting(
        within_s=query.within,
        totals=WaitingTotals(**_waited(waits.total)),
        by_queue=[WaitingOfQueue(queue=queue, **_waited(counts)) for queue, counts in _by_most_calls(waits.by_queue)],
        by_number=[
            WaitingOfNumber(number=number, label=waits.labels.get(number, ""), **_waited(counts))
            for number, counts in _by_most_calls(waits.by_number)
        ],
        by_hour=[WaitingOfHour(hour=hour, **_waited(waits.by_hour.get(hour, WaitCounts()))) for hour in range(24)],
    )


@router.get("/quality", operation_id="countQuality")
async def quality(query: Annotated[QualityQuery, Query()], account: CurrentAccount, services: Shared) -> Qualities:
    """Count calls by how well they went: all, by trunk, by employee, by hour."""
    selection, now = _selection(query, account)
    counted = await reports.qualities(services.store, account.scope, selection, query.bad_below, now)
    return Qualities(
        bad_below=query.bad_below,
        totals=QualityTotals(**_quality(counted.total)),
        by_trunk=[QualityOfTrunk(trunk=trunk, **_quality(counts)) for trunk, counts in _by_most_bad(counted.by_trunk)],
        by_employee=[
            QualityOfEmployee(login=login, name=counted.names.get(login) or login, **_quality(counts))
            for login, counts in _by_most_bad(counted.by_user)
        ],
        by_hour=[QualityOfHour(hour=hour, **_quality(counted.by_hour.get(hour, QualityCounts()))) for hour in range(24)],
    )


def _selection(query: SelectionQuery, account: Account) -> tuple[Selection, datetime]:
    now = datetime.now(UTC)
    return query.selection(ZoneInfo(account.timezone), now), now


def _counts(counted: CallCounts) -> dict[str, int]:
    return {"out": counted.out, "out_failed": counted.out_failed, "in_": counted.incoming, "in_missed": counted.in_missed}


def _incoming(counted: CallCounts) -> dict[str, int]:
    return {"in_": _all_in(counted), "missed": counted.in_missed - counted.in_busy, "busy": counted.in_busy}


def _outgoing(group: Group) -> dict[str, int]:
    return {"calls": _all_out(group.counts), "answered": group.counts.out, "talk_s": group.talk_s}


def _by_most_out(groups: tuple[Group, ...]) -> list[Group]:
    return sorted((group for group in groups if _all_out(group.counts)), key=lambda group: -_all_out(group.counts))


def _all_in(counted: CallCounts) -> int:
    return counted.incoming + counted.in_missed


def _all_out(counted: CallCounts) -> int:
    return counted.out + counted.out_failed


def _by_most_calls(groups: dict[str, WaitCounts]) -> list[tuple[str, WaitCounts]]:
    return sorted(groups.items(), key=lambda group: (-group[1].calls, group[0]))


def _waited(counted: WaitCounts) -> dict[str, Any]:
    return {
        "calls": counted.calls,
        "answered": counted.answered,
        "answered_within": counted.answered_within,
        "abandoned": counted.calls - counted.answered,
        "average_s": whole_seconds(counted.wait_ms // counted.calls) if counted.calls else None,
        "longest_s": whole_seconds(counted.longest_ms) if counted.calls else None,
    }


def _by_most_bad(groups: dict[str, QualityCounts]) -> list[tuple[str, QualityCounts]]:
    return sorted(groups.items(), key=lambda group: (-group[1].bad, -group[1].calls, group[0]))


def _quality(counted: QualityCounts) -> dict[str, Any]:
    calls = counted.calls
    return {
        "calls": calls,
        "bad": counted.bad,
        "average_mos": round(counted.mos_sum / calls, 2) if calls else None,
        "average_loss_pct": round(counted.loss_pct_sum / calls, 1) if calls else None,
        "worst_mos": counted.worst_mos if calls else None,
    }
