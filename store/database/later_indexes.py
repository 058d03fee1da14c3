"""Indexes that PostgreSQL builds after the migrations, while others read and write the table.

SQLite has none of them but `ix_calls_held`: its planner knows no statistics, and would take them
for the wrong query. It finds a row of a table by its index in a fraction of PostgreSQL's time.
"""

from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

LATER_INDEXES: Final = {
    # Pieces of numbers of three digits and more, in one company.
    "ix_calls_numbers": "calls USING gin (domain_id, src gin_trgm_ops, dst gin_trgm_ops, answered_by gin_trgm_ops) "
    "WHERE merged_into IS NULL",
    # Calls with audio, if few have some.
    "ix_calls_recorded": "calls (domain_id, started_at, id) WHERE recording_state IN ('ready', 'partial') AND merged_into IS NULL",
    # The list sorted by length.
    "ix_calls_length": "calls (domain_id, duration_s, id, started_at) WHERE duration_s IS NOT NULL AND merged_into IS NULL",
    # Reports of waiting and of quality that are narrowed by length, employee or number.
    "ix_calls_waits": "calls (domain_id, started_at, id, direction, result, wait_ms, queue, number, trunk, employee, duration_s) "
    "WHERE merged_into IS NULL",
    "ix_calls_mos": "calls (domain_id, started_at, id, quality_mos, quality_loss_pct, trunk, employee, direction, result, number, "
    "duration_s) WHERE quality_mos IS NOT NULL AND merged_into IS NULL",
    # The calls whose recordings a bucket locks.
    "ix_calls_held": "calls (id) WHERE legal_hold",
    # Which of a user's calls are merged into others.
    "ix_calls_absorbed": "calls (id) WHERE merged_into IS NOT NULL",
}
"""Definitions by name."""
REPLACED_INDEXES: Final = ("ix_calls_waiting", "ix_calls_quality", "ix_calls_parties")
"""Of versions before: later ones have all their columns, and serve these versions too."""
_FOUND: Final = text(
    "SELECT name.relname, indisvalid FROM pg_index JOIN pg_class AS name ON name.oid = indexrelid "
    "WHERE pg_table_is_visible(indexrelid) AND name.relname = ANY(:names)"
)

log = structlog.get_logger()


async def build_later_indexes(engine: AsyncEngine) -> None:
    """Build the indexes that are missing or whose building was interrupted; drop replaced ones.

    The caller lets nobody else do the same.
    """
    async with engine.connect() as connection:
        found = {
            row.relname: row.indisvalid for row in await connection.execute(_FOUND, {"names": [*LATER_INDEXES, *REPLACED_INDEXES]})
        }
    missing = [name for name in LATER_INDEXES if not found.get(name)]
    replaced = [name for name in REPLACED_INDEXES if name in found]
    if not missing and not replaced:
        return
    async with engine.connect() as connection:
        # PostgreSQL refuses these statements in a transaction.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for name in missing:
            log.info("index.building", name=name)
            await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            await connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {name} ON {LATER_INDEXES[name]}")
        for name in replaced:
            await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
        await connection.exec_driver_sql("ANALYZE calls")
