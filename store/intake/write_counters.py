"""Keeping the figures: what calls add is written in the transaction that writes the calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from store.database.counter_tables import COLUMNS, group_tallies, hour_lengths, hour_tallies
from store.database.dialect import insert
from store.database.schema import domains, instant
from store.intake.batches import calls_in_batches
from store.intake.call_backs import Written
from store.intake.counters import HourKey, Sums, Tally
from store.intake.facts import FACTS, facts_of
from store.lengths import Length, written

_NOTHING: Final = dict.fromkeys(COLUMNS, 0)
_MOST_HELD: Final = 50_000  # rows of figures and lengths of calls in memory


def tally(connection: Connection, written: Sequence[Written], zones: Mapping[int, ZoneInfo]) -> None:
    """Take back what each call added before and add what it adds now. `zones` are the domains' clocks."""
    added = Tally()
    for one in written:
        if one.before == one.after:
            continue
        if one.before is not None:
            added.add(one.before, zones[one.before.domain_id], -1)
        if one.after is not None:
            added.add(one.after, zones[one.after.domain_id])
    _write(connection, added)


def tally_again(connection: Connection, domain_id: int) -> None:
    """Count all calls of a domain anew, by its clock as it is now. Takes as much memory for ten million as for ten thousand."""
    zone = ZoneInfo(connection.execute(select(domains.c.timezone).where(domains.c.id == domain_id)).scalar_one())
    for table in (hour_tallies, group_tallies, hour_lengths):
        connection.execute(delete(table).where(table.c.domain_id == domain_id))
    added = Tally()
    for rows in calls_in_batches(connection, domain_id, *FACTS):
        for facts in filter(None, (facts_of(row._mapping) for row in rows)):
            added.add(facts, zone)
        if len(added) > _MOST_HELD:
            _write(connection, added)
            added = Tally()
    _write(connection, added)


def _write(connection: Connection, added: Tally) -> None:
    # In the order of their keys, so that no two writers ever wait for each other's rows.
    _add_up(connection, hour_tallies, ((_row_of(key), sums) for key, sums in sorted(added.hours.items(), key=_key)))
    _add_up(connection, group_tallies, ((key._asdict(), sums) for key, sums in sorted(added.groups.items(), key=_key)))
    _append(connection, sorted(added.lengths.items(), key=_key))


def _key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _row_of(hour: HourKey) -> dict[str, Any]:
    return {"domain_id": hour.domain_id, "hour": instant(hour.hour_ms)}


def _add_up(connection: Connection, table: Table, rows: Iterable[tuple[dict[str, Any], Sums]]) -> None:
    values = [key | _NOTHING | sums for key, sums in rows if any(sums.values())]
    new = insert(connection.dialect, table)
    _upsert(connection, table, values, {column: table.c[column] + new.excluded[column] for column in COLUMNS})


def _append(connection: Connection, rows: Iterable[tuple[HourKey, Mapping[Length, int]]]) -> None:
    values = [_row_of(key) | {"lengths": text} for key, lengths in rows if (text := written(lengths))]
    new = insert(connection.dialect, hour_lengths)
    _upsert(connection, hour_lengths, values, {"lengths": hour_lengths.c.lengths + new.excluded.lengths})


def _upsert(connection: Connection, table: Table, values: list[dict[str, Any]], there: dict[str, ColumnElement[Any]]) -> None:
    if values:
        new = insert(connection.dialect, table)
        connection.execute(new.on_conflict_do_update(index_elements=list(table.primary_key), set_=there), values)
