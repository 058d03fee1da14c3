"""How long callers waited: read from an index of their own."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, CompoundSelect, Dialect, Row, cast, func, select

from fonoteka.core.call_report import Direction, Result
from store.database.dialect import computed_once, few_groups
from store.database.schema import calls
from store.selection.period import week_hour
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions, shortest_ms
from store.statistics.marginals import marginals, named, read_marginals
from store.statistics.report_types import WaitCounts, Waits

_KEYS: Final = ("queue", "number", "hour")


def waits_query(dialect: Dialect, scope: Scope, selection: Selection, within_s: int, now: datetime) -> CompoundSelect[Any]:
    """Select the incoming calls with a wait by queue, by number and by hour of the day."""
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
    groups = select(
        each.c.queue,
        each.c.number,
        each.c.hour,
        func.count().label("calls"),
        func.count().filter(each.c.answered).label("answered"),
        func.count().filter(each.c.in_time).label("answered_within"),
        cast(func.sum(each.c.wait_ms), BigInteger).label("wait_ms"),
        func.max(each.c.wait_ms).label("longest_ms"),
    ).group_by(each.c.hour, each.c.number, each.c.queue)
    return marginals(groups, _KEYS, {"longest_ms": func.max})


def read_waits(rows: Iterable[Row[Any]], labels: dict[str, str]) -> Waits:
    """Read the rows of `waits_query`."""
    queues, numbers, hours = read_marginals(rows, _KEYS, _counts)
    return Waits(
        total=sum(hours.values(), WaitCounts()),
        by_queue=named(queues),
        by_number=named(numbers),
        by_hour={int(hour): counts for hour, counts in named(hours).items()},
        labels=labels,
    )


def _counts(row: Row[Any]) -> WaitCounts:
    return WaitCounts(
        calls=row.calls,
        answered=row.answered,
        answered_within=row.answered_within,
        wait_ms=row.wait_ms,
        longest_ms=row.longest_ms,
    )
