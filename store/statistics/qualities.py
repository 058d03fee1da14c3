"""How well calls were transmitted: read from an index of their own."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CompoundSelect, Dialect, Row, func, select

from store.database.dialect import computed_once, few_groups
from store.database.schema import calls
from store.selection.period import week_hour
from store.selection.scope import Scope, visible_calls
from store.selection.selection import Selection, conditions
from store.statistics.marginals import marginals, named, read_marginals
from store.statistics.report_types import Qualities, QualityCounts

_KEYS: Final = ("trunk", "employee", "hour")


def qualities_query(dialect: Dialect, scope: Scope, selection: Selection, bad_below: float, now: datetime) -> CompoundSelect[Any]:
    """Select the calls whose quality is known by trunk, by employee and by hour of the day."""
    visible, c = visible_calls(scope), calls.c
    of_day = week_hour(visible.started_at, selection.period, selection.zone) % 24
    source, hour = few_groups(dialect, visible.source, of_day, 24)
    wanted = conditions(selection, visible, now) & c.quality_mos.is_not(None)
    # Sorting the parts of each call costs most: see store.statistics.from_calls.hours.
    columns = (hour.label("hour"), c.trunk, c.employee, c.quality_mos, c.quality_loss_pct)
    each = computed_once(dialect, select(*columns).select_from(source).where(wanted)).subquery()
    groups = select(
        each.c.trunk,
        each.c.employee,
        each.c.hour,
        func.count().label("calls"),
        func.count().filter(each.c.quality_mos < bad_below).label("bad"),
        func.sum(each.c.quality_mos).label("mos"),
        func.sum(each.c.quality_loss_pct).label("loss_pct"),
        func.min(each.c.quality_mos).label("worst_mos"),
    ).group_by(each.c.trunk, each.c.employee, each.c.hour)
    return marginals(groups, _KEYS, {"worst_mos": func.min})


def read_qualities(rows: Iterable[Row[Any]], names: dict[str, str]) -> Qualities:
    """Read the rows of `qualities_query`."""
    trunks, users, hours = read_marginals(rows, _KEYS, _counts)
    return Qualities(
        total=sum(hours.values(), QualityCounts()),
        by_trunk=named(trunks),
        by_user=named(users),
        by_hour={int(hour): counts for hour, counts in named(hours).items()},
        names=names,
    )


def _counts(row: Row[Any]) -> QualityCounts:
    return QualityCounts(calls=row.calls, bad=row.bad, mos_sum=row.mos, loss_pct_sum=row.loss_pct, worst_mos=row.worst_mos)
