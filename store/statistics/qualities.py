"""How well calls were transmitted: read from the index `ix_calls_quality`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Dialect, Row, Select, func, select

from store.database.dialect import computed_once, few_groups
from store.database.schema import calls
from store.selection.period import week_hour
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions
from store.statistics.report_types import Qualities, QualityCounts


def qualities_query(dialect: Dialect, scope: Scope, selection: Selection, bad_below: float, now: datetime) -> Select[Any]:
    """Select the calls whose quality is known by trunk, employee and hour of the day."""
    visible, c = visible_calls(scope), calls.c
    of_day = week_hour(visible.started_at, selection.period, selection.zone) % 24
    source, hour = few_groups(dialect, visible.source, of_day, 24)
    wanted = conditions(selection, visible, now) & c.quality_mos.is_not(None)
    # Sorting the parts of each call costs most: see store.statistics.from_calls.hours.
    columns = (hour.label("hour"), c.trunk, c.employee, c.quality_mos, c.quality_loss_pct)
    each = computed_once(dialect, select(*columns).select_from(source).where(wanted)).subquery()
    return select(
        each.c.trunk,
        each.c.employee,
        each.c.hour,
        func.count().label("calls"),
        func.count().filter(each.c.quality_mos < bad_below).label("bad"),
        func.sum(each.c.quality_mos).label("mos"),
        func.sum(each.c.quality_loss_pct).label("loss_pct"),
        func.min(each.c.quality_mos).label("worst_mos"),
    ).group_by(each.c.trunk, each.c.employee, each.c.hour)


def read_qualities(rows: Iterable[Row[Any]], names: dict[str, str]) -> Qualities:
    """Add up the rows of `qualities_query`."""
    whole = QualityCounts()
    by_trunk: dict[str, QualityCounts] = {}
    by_user: dict[str, QualityCounts] = {}
    by_hour: dict[int, QualityCounts] = {}
    for row in rows:
        counts = QualityCounts(calls=row.calls, bad=row.bad, mos_sum=row.mos, loss_pct_sum=row.loss_pct, worst_mos=row.worst_mos)
        whole += counts
        by_hour[row.hour] = by_hour.get(row.hour, QualityCounts()) + counts
        for groups, key in ((by_trunk, row.trunk), (by_user, row.employee)):
            if key is not None:
                groups[key] = groups.get(key, QualityCounts()) + counts
    return Qualities(total=whole, by_trunk=by_trunk, by_user=by_user, by_hour=by_hour, names=names)
