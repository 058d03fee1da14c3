"""How long callers waited: read from the index `ix_calls_waiting`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect, Row, Select, cast, func, select

from fonoteka.core.call_report import Direction, Result
from store.database.dialect import computed_once, few_groups
from store.database.schema import calls
from store.selection.period import week_hour
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions, shortest_ms
from store.statistics.report_types import WaitCounts, Waits


def waits_query(dialect: Dialect, scope: Scope, selection: Selection, within_s: int, now: datetime) -> Select[Any]:
    """Select the incoming calls with a wait by queue, number and hour of the day."""
    visible, c = visible_calls(scope), calls.c
    of_day = week_hour(visible.started_at, selection.period, selection.zone) % 24
    source, hour = few_groups(dialect, visible.source, of_day, 24)
    wanted = conditions(selection, visible, now) & (c.direction == Direction.IN) & c.wait_ms.is_not(None)
    answered = c.result == Result.ANSWERED
    # Sorting the parts of each call costs most: see store.statistics.from_calls.hours. They are
    # compared by the hour first, of which there are most.
    columns = (
        hour.label("hour"),
        c.queue,
        c.number,
        answered.label("answered"),
        (answered & (c.wait_ms < shortest_ms(within_s + 1))).label("in_time"),
        c.wait_ms,
    )
    each = computed_once(dialect, select(*columns).select_from(source).where(wanted)).subquery()
    return select(
        each.c.queue,
        each.c.number,
        each.c.hour,
        func.count().label("calls"),
        func.count().filter(each.c.answered).label("answered"),
        func.count().filter(each.c.in_time).label("answered_within"),
        cast(func.sum(each.c.wait_ms), BigInteger).label("wait_ms"),
        func.max(each.c.wait_ms).label("longest_ms"),
    ).group_by(each.c.hour, each.c.number, each.c.queue)


def read_waits(rows: Iterable[Row[Any]], labels: dict[str, str]) -> Waits:
    """Add up the rows of `waits_query`."""
    whole = WaitCounts()
    by_queue: dict[str, WaitCounts] = {}
    by_number: dict[str, WaitCounts] = {}
    by_hour: dict[int, WaitCounts] = {}
    for row in rows:
        counts = WaitCounts(
            calls=row.calls,
            answered=row.answered,
            answered_within=row.answered_within,
            wait_ms=row.wait_ms,
            longest_ms=row.longest_ms,
        )
        whole += counts
        by_hour[row.hour] = by_hour.get(row.hour, WaitCounts()) + counts
        for groups, key in ((by_queue, row.queue), (by_number, row.number)):
            if key is not None:
                groups[key] = groups.get(key, WaitCounts()) + counts
    return Waits(total=whole, by_queue=by_queue, by_number=by_number, by_hour=by_hour, labels=labels)
