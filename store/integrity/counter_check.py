"""Whether the counters are what counting the calls gives, month by month of a domain's clock."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select

from store.audit.write import OPERATOR, write_entry
from store.database.counter_tables import COLUMNS, group_counters, hour_counters
from store.database.dialect import read_snapshot
from store.database.schema import calls, domains, milliseconds
from store.database.store import Store
from store.intake.counters import CounterChanges, GroupKey, HourKey, Unit, day_number, month_number
from store.intake.facts import FACTS, facts_of_row
from store.intake.write_counters import write_changes
from store.integrity.chain_check import all_domains
from store.integrity.findings import Finding, Kind, Position, Step
from store.selection.scope import Scope

_FIRST_DAY: Final = date(1970, 1, 1).toordinal()
_ROWS_AT_ONCE: Final = 5000

Counters = dict[HourKey | GroupKey, dict[str, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Month:
    """A month since 1970 of a domain's clock."""

    domain_id: int
    number: int
    zone: ZoneInfo

    @property
    def days(self) -> tuple[date, date]:
        """The first day, and the first day of the next month."""
        first, after = (date(1970 + number // 12, number % 12 + 1, 1) for number in (self.number, self.number + 1))
        return first, after

    @property
    def name(self) -> str:
        """The month as `2026-11`."""
        return f"{self.days[0]:%Y-%m}"

    @property
    def time(self) -> tuple[datetime, datetime]:
        """The beginning, and the beginning of the next month."""
        first, after = (datetime(day.year, day.month, 1, tzinfo=self.zone).astimezone(UTC) for day in self.days)
        return first, after

    @property
    def hours(self) -> ColumnElement[bool]:
        """The condition for its rows of `hour_counters`."""
        first, after = self.time
        return and_(hour_counters.c.domain_id == self.domain_id, hour_counters.c.hour >= first, hour_counters.c.hour < after)

    @property
    def groups(self) -> ColumnElement[bool]:
        """The condition for its rows of `group_counters`."""
        start, unit = group_counters.c.start, group_counters.c.unit
        first, after = (day_number(day) for day in self.days)
        of_days = and_(unit == Unit.DAY, start >= first, start < after)
        return and_(group_counters.c.domain_id == self.domain_id, or_(of_days, and_(unit == Unit.MONTH, start == self.number)))


async def counter_steps(store: Store, after: Position) -> AsyncIterator[Step]:
    """Compare the counters of one month after another; calls may arrive meanwhile."""
    last = tuple(map(int, after.split(":"))) if isinstance(after, str) else (0, 0)
    for domain in await all_domains(store):
        if domain.id < last[0]:
            continue
        async with store.reading() as connection:
            numbers = await connection.run_sync(_months, domain.id)
        for number in numbers:
            if (domain.id, number) <= last:
                continue
            differing = await _differing_rows(store, domain.id, number)
            found = [_finding(domain.id, domain.name, number, differing)] if differing else []
            yield Step(position=f"{domain.id}:{number}", looked_at=1, found=found)


async def recount(store: Store, finding: Finding) -> None:
    """Replace the counters of a month by what counting gives. Raises StoreError."""
    domain_id, number = map(int, finding.key)
    async with store.writing() as connection:
        # Reports are written under a lock of the domain, which this one excludes.
        await connection.execute(select(domains.c.id).where(domains.c.id == domain_id).with_for_update())
        await connection.run_sync(_recount, domain_id, number)
        scope, detail, now = Scope(domain_id=domain_id, login=None), {"difference": finding.detail}, datetime.now(UTC)
        await write_entry(connection, scope, OPERATOR, action="counters_recounted", subject=finding.subject, detail=detail, now=now)


async def still_differs(store: Store, finding: Finding) -> bool:
    """Whether the counters of a month still differ."""
    domain_id, number = map(int, finding.key)
    return await _differing_rows(store, domain_id, number) > 0


def _finding(domain_id: int, domain: str, number: int, differing: int) -> Finding:
    detail = f"{differing} rows of the counters differ from counting the calls"
    name = _Month(domain_id=domain_id, number=number, zone=ZoneInfo("UTC")).name
    return Finding(kind=Kind.COUNTERS, domain=domain, subject=name, detail=detail, key=(domain_id, number))


async def _differing_rows(store: Store, domain_id: int, number: int) -> int:
    async with store.reading() as connection:
        await read_snapshot(connection)
        return await connection.run_sync(_count_differing, domain_id, number)


def _count_differing(connection: Connection, domain_id: int, number: int) -> int:
    month = _month(connection, domain_id, number)
    counted, kept = _counted(connection, month), _kept(connection, month)
    expected: Counters = {key: _nonzero(sums) for key, sums in counted.hours.items()}
    expected |= {key: _nonzero(sums) for key, sums in counted.groups.items()}
    return sum(expected.get(key, {}) != kept.get(key, {}) for key in expected.keys() | kept.keys())


def _recount(connection: Connection, domain_id: int, number: int) -> None:
    month = _month(connection, domain_id, number)
    connection.execute(delete(hour_counters).where(month.hours))
    connection.execute(delete(group_counters).where(month.groups))
    write_changes(connection, _counted(connection, month))


def _months(connection: Connection, domain_id: int) -> list[int]:
    """Return the months in which a domain has calls or counters, in order."""
    zone = _month(connection, domain_id, 0).zone
    found = {
        month_number(row.hour.astimezone(zone))
        for row in connection.execute(select(hour_counters.c.hour).where(hour_counters.c.domain_id == domain_id))
    }
    query = select(group_counters.c.unit, group_counters.c.start).where(group_counters.c.domain_id == domain_id).distinct()
    for row in connection.execute(query):
        is_month = row.unit == Unit.MONTH
        found.add(row.start if is_month else month_number(date.fromordinal(_FIRST_DAY + row.start)))
    moment = calls.c.started_at
    first, last = (
        connection.execute(select(moment).where(calls.c.domain_id == domain_id).order_by(order).limit(1)).scalar()
        for order in (moment, moment.desc())
    )
    if first is not None and last is not None:
        found |= set(range(month_number(first.astimezone(zone)), month_number(last.astimezone(zone)) + 1))
    return sorted(found)


def _month(connection: Connection, domain_id: int, number: int) -> _Month:
    zone = connection.execute(select(domains.c.timezone).where(domains.c.id == domain_id)).scalar_one()
    return _Month(domain_id=domain_id, number=number, zone=ZoneInfo(zone))


def _counted(connection: Connection, month: _Month) -> CounterChanges:
    first, after = month.time
    in_month = and_(calls.c.domain_id == month.domain_id, calls.c.started_at >= first, calls.c.started_at < after)
    query = select(*FACTS).where(in_month, calls.c.merged_into.is_(None))
    changes = CounterChanges()
    for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
        if (facts := facts_of_row(row._mapping)) is not None:
            changes.add(facts, month.zone)
    return changes


def _kept(connection: Connection, month: _Month) -> Counters:
    kept: Counters = {}
    for row in _rows(connection, hour_counters, month.hours):
        kept[HourKey(row["domain_id"], milliseconds(row["hour"]))] = _nonzero({name: row[name] for name in COLUMNS})
    for row in _rows(connection, group_counters, month.groups):
        key = GroupKey(*(row[name] for name in GroupKey._fields))
        kept[key] = _nonzero({name: row[name] for name in COLUMNS})
    return kept


def _rows(connection: Connection, table: Table, condition: ColumnElement[bool]) -> Any:
    return connection.execute(select(table).where(condition)).mappings()


def _nonzero(sums: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in sums.items() if amount}
