"""`/api/stats/…`: the figures of a selection (manual, VII). The parameters are those of `/api/calls`."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from api.dependencies.access import Person
from api.dependencies.account_turns import in_turn
from api.dependencies.services import Shared
from api.http.parameters import SelectionQuery
from api.schemas import models
from api.schemas import statistics as shapes
from fonoteka.core.call_report import Direction
from store.people.accounts import Account
from store.selection.selection import Selection
from store.statistics import reports as statistics
from store.statistics.report_types import CallCounts, Group, total

router = APIRouter(
    prefix="/api/stats",
    tags=["statistics"],
    dependencies=[Depends(in_turn, scope="function")],
    responses={status: {"model": models.Problem} for status in (401, 422)},
)


class DurationsQuery(SelectionQuery):
    """Which calls, and a length to count the longer ones by (manual, VII: «Длительность более»)."""

    longer_than: int | None = Field(default=None, ge=0, le=10**9, description="seconds")


@router.get("/hourly", operation_id="countByHour")
async def hourly(query: Annotated[SelectionQuery, Query()], account: Person, services: Shared) -> shapes.Hourly:
    """The calls with the outside by the hour in which they began."""
    hours = await statistics.by_hour(services.store, account.scope, *_asked(query, account))
    of_day = [total(one.counts for one in hours if one.hour == hour) for hour in range(24)]
    return shapes.Hourly(rows=[shapes.HourCounts(hour=hour, **_counts(counted)) for hour, counted in enumerate(of_day)])


@router.get("/week", operation_id="countByWeekHour")
async def week(query: Annotated[SelectionQuery, Query()], account: Person, services: Shared) -> shapes.WeekHours:
    """The calls with the outside by weekday and hour."""
    hours = await statistics.by_hour(services.store, account.scope, *_asked(query, account))
    found = {(one.weekday, one.hour): one.counts for one in hours}
    return shapes.WeekHours(
        rows=[
            shapes.WeekHourCounts(weekday=weekday, hour=hour, **_counts(found.get((weekday, hour), CallCounts())))
            for weekday in range(1, 8)
            for hour in range(24)
        ]
    )


@router.get("/incoming", operation_id="countIncoming")
async def incoming(query: Annotated[SelectionQuery, Query()], account: Person, services: Shared) -> shapes.Incoming:
    """The incoming calls: in all, by number, by who took them."""
    selection, now = _asked(query, account)
    found = await statistics.by_party(services.store, account.scope, selection, Direction.IN, now)
    return shapes.Incoming(
        totals=shapes.IncomingTotals(**_incoming(found.total)),
        by_number=[
            shapes.IncomingOfNumber(number=one.key, label=one.name, **_incoming(one.counts))
            for one in sorted(found.by_number, key=lambda one: -_all_in(one.counts))
            if _all_in(one.counts)
        ],
        by_employee=[
            shapes.IncomingOfEmployee(login=one.key, name=one.name or one.key, calls=one.counts.incoming, talk_s=one.talk_s)
            for one in sorted(found.by_user, key=lambda one: -one.counts.incoming)
            if one.counts.incoming
        ],
    )


@router.get("/outgoing", operation_id="countOutgoing")
async def outgoing(query: Annotated[SelectionQuery, Query()], account: Person, services: Shared) -> shapes.Outgoing:
    """The outgoing calls: in all, by number, by employee."""
    selection, now = _asked(query, account)
    found = await statistics.by_party(services.store, account.scope, selection, Direction.OUT, now)
    return shapes.Outgoing(
        totals=shapes.OutgoingTotals(calls=_all_out(found.total), answered=found.total.out),
        by_number=[
            shapes.OutgoingOfNumber(number=one.key, label=one.name, **_outgoing(one)) for one in _by_most_out(found.by_number)
        ],
        by_employee=[
            shapes.OutgoingOfEmployee(login=one.key, name=one.name or one.key, **_outgoing(one))
            for one in _by_most_out(found.by_user)
        ],
    )


@router.get("/durations", operation_id="countDurations")
async def durations(query: Annotated[DurationsQuery, Query()], account: Person, services: Shared) -> shapes.Durations:
    """The outgoing calls by the length of their talk."""
    selection, now = _asked(query, account)
    bands, longer = await statistics.by_length(services.store, account.scope, selection, query.longer_than, now)
    return shapes.Durations(
        rows=[shapes.DurationBand(from_s=band.from_s, to_s=band.to_s, calls=band.calls) for band in bands],
        longer_than=None
        if query.longer_than is None or longer is None
        else shapes.LongerThan(seconds=query.longer_than, calls=longer),
    )


@router.get("/callbacks", operation_id="countCallBacks")
async def callbacks(query: Annotated[SelectionQuery, Query()], account: Person, services: Shared) -> shapes.CallBacks:
    """The missed calls, and whether they were called back."""
    found = await statistics.call_backs(services.store, account.scope, *_asked(query, account))
    return shapes.CallBacks(
        missed=found.missed,
        called_back=found.called_back,
        not_called_back=found.missed - found.called_back,
        median_wait_s=found.median_wait_s,
    )


def _asked(query: SelectionQuery, account: Account) -> tuple[Selection, datetime]:
    now = datetime.now(UTC)
    return query.selection(ZoneInfo(account.timezone), now), now


def _counts(counted: CallCounts) -> dict[str, int]:
    return {"out": counted.out, "out_failed": counted.out_failed, "in_": counted.incoming, "in_missed": counted.in_missed}


def _incoming(counted: CallCounts) -> dict[str, int]:
    return {"in_": _all_in(counted), "missed": counted.in_missed - counted.in_busy, "busy": counted.in_busy}


def _outgoing(group: Group) -> dict[str, int]:
    return {"calls": _all_out(group.counts), "answered": group.counts.out, "talk_s": group.talk_s}


def _by_most_out(groups: tuple[Group, ...]) -> list[Group]:
    return sorted((one for one in groups if _all_out(one.counts)), key=lambda one: -_all_out(one.counts))


def _all_in(counted: CallCounts) -> int:
    return counted.incoming + counted.in_missed


def _all_out(counted: CallCounts) -> int:
    return counted.out + counted.out_failed
