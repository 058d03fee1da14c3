# ruff: noqa: S608 (the names in the statements are of the schema)
"""Half a year of calls from a week of them: copied in SQL, as the intake would take hours.

PostgreSQL only. The intake takes the last week of the first companies; the other companies get the
calls of these, but the biggest. Then each copy of the week lies a week earlier, so that hours and
days of the week stay. Each copy has its own outside numbers, and most of these numbers occur in
copies of other weeks too; a call back counts in its week only. The rows lie in the order of time,
as in an installation where all companies have calls. The steps of a path keep the times of the
week. Counters are copied like the calls, by whole hours and days, which holds for zones that do not
change their clocks; those of months are the sums of days.
"""

from typing import Final

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.database.counter_tables import COLUMNS
from store.database.schema import call_paths, calls, participants, segments

WEEKS: Final = 26
TAKEN: Final = 10
"""The companies whose week the intake takes. The first is the biggest."""

_WEEK_MS: Final = 7 * 86_400_000
_TABLES: Final = (calls, call_paths, participants, segments)
_NAMES: Final = "'calls', 'call_paths', 'participants', 'segments'"
_INDEXES: Final = f"""
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema AND tablename IN ({_NAMES})
AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)
"""
_WEEK: Final = f"""
CREATE TEMPORARY TABLE copies AS
SELECT id AS copied_to, CASE WHEN id <= {TAKEN} THEN id ELSE 2 + id % {TAKEN - 1} END AS copied_from FROM domains;
CREATE TEMPORARY TABLE week_keys AS
SELECT id AS old_id, copied_to, row_number() OVER (ORDER BY started_at, id, copied_to) AS place
FROM calls JOIN copies ON copied_from = domain_id;
ANALYZE week_keys
"""
_GROWING: Final = ("calls", "segments")  # tables whose ids are of a sequence
_SEQUENCE: Final = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), (SELECT max(id) FROM {0}))"


async def copy_week(engine: AsyncEngine) -> None:
    """Copy the calls of a week, which are all that the index has, into the 25 weeks before it."""
    async with engine.begin() as connection:
        await _run(connection, "SET LOCAL session_replication_role = replica")  # no foreign key is checked row by row
        await _run(connection, "SET LOCAL work_mem = '512MB'")
        indexes = (await connection.execute(text(_INDEXES))).all()
        await _run(connection, _WEEK)
        for table in _TABLES:
            await _run(connection, f"CREATE TEMPORARY TABLE week_{table.name} AS SELECT * FROM {table.name}")
            await _run(connection, f"ANALYZE week_{table.name}")
        await _run(connection, "TRUNCATE calls, call_paths, participants, segments, object_locks")
        for name, _ in indexes:
            await _run(connection, f"DROP INDEX {name}")
        for back in reversed(range(WEEKS)):
            for table in _TABLES:
                await _run(connection, _copy(table, back))
        for _, definition in indexes:
            await _run(connection, definition)
        for name in _GROWING:
            await _run(connection, _SEQUENCE.format(name))
        await _copy_counters(connection)


async def _run(connection: AsyncConnection, sql: str) -> None:
    for statement in sql.split(";"):
        await connection.exec_driver_sql(statement)


def _copy(table: Table, back: int) -> str:
    """Return the statement that copies the rows of the week to `back` weeks before it."""
    key = "id" if table is calls else "call_id"
    of_copy = f"|| '-' || copied_to || '-{back}'"
    changed = {key: f"place + {WEEKS - 1 - back} * (SELECT count(*) FROM week_keys)", "domain_id": "copied_to"}
    changed |= {"linkedid": f"linkedid {of_copy}", "name": f"name {of_copy}"}
    changed |= {"public_id": f"upper(left(md5(linkedid {of_copy}), 26))"}
    changed |= {name: f"{name} - {back * _WEEK_MS}" for name in ("started_at", "answered_at", "ended_at", "called_back_at")}
    changed |= {name: _other_number(name, back) for name in ("src", "dst", "answered_by", "outside_number")}
    columns = [column.name for column in table.c if table is calls or column.name != "id"]
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    week = f"week_{table.name} JOIN week_keys ON old_id = week_{table.name}.{key}"
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {week} ORDER BY place"


def _other_number(name: str, back: int) -> str:
    """Return another outside number; the numbers of lines and users are shorter, and stay."""
    other = f"left({name}, -7) || lpad(((right({name}, 7)::bigint + {back} * 7654321) % 10000000)::text, 7, '0')"
    return f"CASE WHEN length({name}) > 7 THEN {other} ELSE {name} END"


async def _copy_counters(connection: AsyncConnection) -> None:
    amounts, sums = ", ".join(COLUMNS), ", ".join(f"sum({name})" for name in COLUMNS)
    copied = f"JOIN copies ON copied_from = domain_id, generate_series(0::bigint, {WEEKS - 1}) AS back"
    day = f"copied_to, kind, unit, start - back * 7, name, {sums}"  # two weeks meet in a day
    month = f"domain_id, kind, 'month', (date_part('year', of) - 1970) * 12 + date_part('month', of) - 1, name, {sums}"
    for statement in (
        "CREATE TEMPORARY TABLE week_hours AS SELECT * FROM hour_counters",
        "CREATE TEMPORARY TABLE week_groups AS SELECT * FROM group_counters WHERE unit = 'day'",
        "TRUNCATE hour_counters, group_counters",
        f"INSERT INTO hour_counters SELECT copied_to, hour - back * {_WEEK_MS}, {amounts} FROM week_hours {copied}",
        f"INSERT INTO group_counters SELECT {day} FROM week_groups {copied} GROUP BY 1, 2, 3, 4, 5",
        f"INSERT INTO group_counters SELECT {month} FROM group_counters, "
        "LATERAL (SELECT date '1970-01-01' + start) AS at (of) GROUP BY 1, 2, 3, 4, 5",
    ):
        await _run(connection, statement)
