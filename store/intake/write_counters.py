"""Writing the counters, in the transaction that writes the calls."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Delete, Table, bindparam, delete, select

from store.database.counter_tables import COLUMNS, group_counters, hour_counters
from store.database.dialect import Insert, insert
from store.database.schema import domains, instant
from store.intake.batches import calls_in_batches
from store.intake.call_backs import WrittenCall
from store.intake.counters import CounterChanges, Sums
from store.intake.facts import FACTS, facts_of_row

_NOTHING: Final = dict.fromkeys(COLUMNS, 0)
_MOST_ROWS: Final = 20_000  # rows in memory


def update_counters(
    connection: Connection, written: Sequence[WrittenCall], zones: Mapping[int, ZoneInfo], *, prune: bool = False
) -> None:
    """Subtract what each call added before, add what it adds now. `zones` is by domain.

    `prune` also deletes the rows that become zero, as of the days whose calls are all removed.
    """
    changes = CounterChanges()
    for call in written:
        if call.before == call.after:
            continue
        if call.before is not None:
            changes.add(call.before, zones[call.before.domain_id], -1)
        if call.after is not None:
            changes.add(call.after, zones[call.after.domain_id])
    _write(connection, changes)
    if prune:
        _delete_zeros(connection, hour_counters, [(key.domain_id, instant(key.hour_ms)) for key in changes.hours])
        _delete_zeros(connection, group_counters, changes.groups)


def rebuild_counters(connection: Connection, domain_id: int) -> None:
    """Recompute the counters of a domain by its present clock, in constant memory."""
    zone = ZoneInfo(connection.execute(select(domains.c.timezone).where(domains.c.id == domain_id)).scalar_one())
    for table in (hour_counters, group_counters):
        connection.execute(delete(table).where(table.c.domain_id == domain_id))
    changes = CounterChanges()
    for rows in calls_in_batches(connection, domain_id, *FACTS):
        for facts in filter(None, (facts_of_row(row._mapping) for row in rows)):
            changes.add(facts, zone)
        if len(changes) > _MOST_ROWS:
            _write(connection, changes)
            changes = CounterChanges()
    _write(connection, changes)


def _write(connection: Connection, changes: CounterChanges) -> None:
    # In the order of the keys, so that two writers never deadlock.
    hours = (
        ({"domain_id": key.domain_id, "hour": instant(key.hour_ms)}, sums) for key, sums in sorted(changes.hours.items(), key=_key)
    )
    _upsert(connection, hour_counters, hours)
    _upsert(connection, group_counters, ((key._asdict(), sums) for key, sums in sorted(changes.groups.items(), key=_key)))


def _delete_zeros(connection: Connection, table: Table, keys: Iterable[tuple[Any, ...]]) -> None:
    """Delete the rows with these keys in which every counter is zero."""
    names = [f"key_{column.name}" for column in table.primary_key]
    parameters = [dict(zip(names, key, strict=True)) for key in keys]
    if parameters:
        connection.execute(_deletion_of_zeros(table), parameters)


@cache
def _deletion_of_zeros(table: Table) -> Delete:
    is_row = [column == bindparam(f"key_{column.name}") for column in table.primary_key]
    return delete(table).where(*is_row, *(table.c[column] == 0 for column in COLUMNS))


def _key(item: tuple[Any, Sums]) -> Any:
    return item[0]


def _upsert(connection: Connection, table: Table, rows: Iterable[tuple[dict[str, Any], Sums]]) -> None:
    values = [key | _NOTHING | sums for key, sums in rows if any(sums.values())]
    if values:
        connection.execute(_adding(insert(connection.dialect, table), table), values)


@cache
def _adding(new: Insert, table: Table) -> Insert:
    """Cached, like `new`: the expressions of all columns took longer than the statement."""
    sums = {column: table.c[column] + new.excluded[column] for column in COLUMNS}
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums)


def write_changes(connection: Connection, changes: CounterChanges) -> None:
    """Add sums to the rows of the counters. The caller has locked the domain."""
    _write(connection, changes)
