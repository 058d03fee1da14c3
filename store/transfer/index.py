"""Move an index from SQLite to PostgreSQL while calls come in.

A step copies what the second index lacks, so it may be interrupted and repeated at any time. The
last step does the same while nobody can write into the first index, compares both, and closes the
first one: what agents and browsers send after that is refused, and agents send it again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from fonoteka.core.errors import ConfigurationError, StoreError
from store.database import moved
from store.database.dialect import address_of
from store.database.schema import domains, pbxs
from store.database.store import Store
from store.database.tables import metadata
from store.transfer import table as rows

TABLES: Final = tuple(metadata.sorted_tables)
"""All tables of the index; one that refers to another comes after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a table is; at its end `sha256` of its content, if both indexes were compared."""

    table: str
    done: int
    total: int
    written: int
    removed: int
    ended: bool = False
    sha256: str | None = None


Report = Callable[[Progress], None]


async def copy(source: Store, target: Store, report: Report) -> None:
    """Make the rows of `target` those that `source` has at this moment.

    Raises ConfigurationError if `target` holds another installation, and StoreError.
    """
    await _begin(source, target)
    async with source.reading() as connection:
        await _copy_all(connection, target, report)


async def finish(source: Store, target: Store, report: Report) -> None:
    """Copy the rest, compare both indexes, close `source` for writing and open `target`.

    Nobody else writes into `source` meanwhile. Raises ConfigurationError, and StoreError if a table
    is not the same in both.
    """
    await _begin(source, target)
    address = address_of(target.engine)
    async with source.writing() as connection:
        await _copy_all(connection, target, report, compared=True)
        await _continue_ids(connection, target)
        if await connection.run_sync(moved.moved_to) is None:
            await connection.run_sync(moved.close_for_writing, address)
    async with target.writing() as connection:
        await connection.run_sync(moved.end_arriving)


async def _begin(source: Store, target: Store) -> None:
    if source.engine.dialect.name != "sqlite" or target.engine.dialect.name != "postgresql":
        raise ConfigurationError("an index moves from SQLite (store.database) to PostgreSQL (--to)")
    async with source.reading() as reading:
        address = await reading.run_sync(moved.moved_to)
    async with target.writing() as connection:
        if await connection.run_sync(moved.is_arriving):
            return
        if address is not None:
            raise ConfigurationError(f"this index was moved to {address} already; name that one as store.database")
        if await rows.count(connection, domains) or await rows.count(connection, pbxs):
            raise ConfigurationError("--to holds an installation already; name an empty database")
        await connection.run_sync(moved.begin_arriving)


async def _copy_all(source: AsyncConnection, target: Store, report: Report, *, compared: bool = False) -> None:
    removed = {table: await _remove_gone(source, target, table) for table in reversed(TABLES)}
    for table in TABLES:
        await _copy_table(source, target, table, report, removed[table], compared=compared)


async def _remove_gone(source: AsyncConnection, target: Store, table: Table) -> int:
    """Delete the rows that the source has no longer; return their number."""
    removed = 0
    async with target.reading() as reading:
        async for found in rows.batches(reading, table):
            kept = await rows.rows_of(source, table, list(found))
            if gone := [key for key in found if key not in kept]:
                async with target.writing() as writing:
                    await rows.remove(writing, table, gone)
                removed += len(gone)
    return removed


async def _copy_table(
    source: AsyncConnection, target: Store, table: Table, report: Report, removed: int, *, compared: bool
) -> None:
    done = written = 0
    total = await rows.count(source, table)
    ours, theirs = hashlib.sha256(), hashlib.sha256()
    async for wanted in rows.batches(source, table):
        async with target.writing() as connection:
            found = await rows.rows_of(connection, table, list(wanted))
            differing = rows.difference(wanted, found)
            await rows.apply(connection, table, differing)
            if compared and (differing.missing or differing.changed):
                found = await rows.rows_of(connection, table, list(wanted))
        done += len(wanted)
        written += len(differing.missing) + len(differing.changed)
        if compared:
            for key, row in wanted.items():
                ours.update(repr(row).encode())
                theirs.update(repr(found.get(key)).encode())
        report(Progress(table=table.name, done=done, total=total, written=written, removed=removed))
    if compared:
        async with target.reading() as connection:
            arrived = await rows.count(connection, table)
        if arrived != total or ours.digest() != theirs.digest():
            raise StoreError(f"{table.name}: {arrived} rows arrived of {total}, or their content is another one")
    sha256 = ours.hexdigest() if compared else None
    report(Progress(table=table.name, done=done, total=total, written=written, removed=removed, ended=True, sha256=sha256))


async def _continue_ids(source: AsyncConnection, target: Store) -> None:
    """Let new rows get ids that no row had before, commands included: agents ask for later ones."""
    async with target.writing() as connection:
        for table in TABLES:
            column = table.autoincrement_column
            if column is None:
                continue
            last = (await connection.execute(select(func.max(column)))).scalar_one() or 0
            if table.dialect_options["sqlite"]["autoincrement"]:
                used = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
                last = max(last, (await source.execute(used, {"name": table.name})).scalar() or 0)
            if last:
                setting = text("SELECT setval(pg_get_serial_sequence(:name, :column), :last)")
                await connection.execute(setting, {"name": table.name, "column": column.name, "last": last})
