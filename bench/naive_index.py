"""The baseline of `bench/portal_queries.py`: one table of calls, one index (domain, start)."""

from typing import Final

from sqlalchemy import text

from store.database.dialect import engine_for

QUERIES: Final = {
    "calls_half_year": "SELECT count(*) FROM naive_calls WHERE domain_id = 1 AND started_at >= :since",
    "calls_half_year_kind_missed": "SELECT count(*) FROM naive_calls WHERE domain_id = 1 AND started_at >= :since"
    " AND direction = 'in' AND result <> 'answered'",
    "calls_half_year_src_piece": "SELECT * FROM naive_calls WHERE domain_id = 1 AND started_at >= :since"
    " AND src LIKE '%6543%' ORDER BY started_at DESC LIMIT 50",
    "calls_half_year_user": "SELECT * FROM naive_calls WHERE domain_id = 1 AND started_at >= :since"
    " AND employee = :who ORDER BY started_at DESC LIMIT 50",
    "calls_half_year_sort_duration": "SELECT * FROM naive_calls WHERE domain_id = 1 AND started_at >= :since"
    " ORDER BY duration_s DESC LIMIT 50",
    "hourly_half_year": """SELECT started_at / 3600000 % 24, direction, result, count(*) FROM naive_calls
        WHERE domain_id = 1 AND started_at >= :since GROUP BY 1, 2, 3""",
    "incoming_half_year": """SELECT number, employee, result, count(*), sum(talk_ms) FROM naive_calls
        WHERE domain_id = 1 AND started_at >= :since
        AND direction = 'in' GROUP BY 1, 2, 3""",
    "durations_half_year": """SELECT talk_ms < 30000, talk_ms < 60000, talk_ms < 180000, talk_ms < 600000, count(*) FROM naive_calls
        WHERE domain_id = 1 AND started_at >= :since AND direction = 'out' GROUP BY 1, 2, 3, 4""",
}  # fmt: skip
"""Queries by the name of the request that they answer."""


async def prepare(database: str, naive: str) -> None:
    """Copy the calls of an index into a naive one: another file of SQLite, or the same database."""
    engine = engine_for(naive)
    async with engine.connect() as connection:
        ours = "calls"
        if naive != database:
            await connection.execute(text("ATTACH :file AS ours"), {"file": database.removeprefix("sqlite:///")})
            await connection.rollback()
            ours = "ours.calls"
        await connection.execute(text(f"CREATE TABLE naive_calls AS SELECT * FROM {ours}"))  # noqa: S608 (no parameter)
        await connection.execute(text("CREATE INDEX naive ON naive_calls (domain_id, started_at)"))
        await connection.execute(text("ANALYZE naive_calls"))
        await connection.commit()
    await engine.dispose()


async def count_calls(naive: str) -> tuple[int, int]:
    """Count the calls, and those of the first company."""
    engine = engine_for(naive)
    async with engine.connect() as connection:
        counts = text("SELECT count(*), count(*) FILTER (WHERE domain_id = 1) FROM naive_calls")
        every, first = (await connection.execute(counts)).one()
    await engine.dispose()
    return every, first
