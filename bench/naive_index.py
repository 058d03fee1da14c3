"""The baseline of `bench/portal_queries.py`: one table of calls, one index (domain, start)."""

import sqlite3
from pathlib import Path
from typing import Final

QUERIES: Final = {
    "calls_half_year": "SELECT count(*) FROM calls WHERE domain_id = 1 AND started_at >= :since",
    "calls_half_year_kind_missed": "SELECT count(*) FROM calls WHERE domain_id = 1 AND started_at >= :since"
    " AND direction = 'in' AND result <> 'answered'",
    "calls_half_year_src_piece": "SELECT * FROM calls WHERE domain_id = 1 AND started_at >= :since"
    " AND src LIKE '%6543%' ORDER BY started_at DESC LIMIT 50",
    "calls_half_year_user": "SELECT * FROM calls WHERE domain_id = 1 AND started_at >= :since"
    " AND employee = :who ORDER BY started_at DESC LIMIT 50",
    "calls_half_year_sort_duration": "SELECT * FROM calls WHERE domain_id = 1 AND started_at >= :since"
    " ORDER BY duration_s DESC LIMIT 50",
    "hourly_half_year": """SELECT started_at / 3600000 % 24, direction, result, count(*) FROM calls
        WHERE domain_id = 1 AND started_at >= :since GROUP BY 1, 2, 3""",
    "incoming_half_year": """SELECT number, employee, result, count(*), sum(talk_ms) FROM calls
        WHERE domain_id = 1 AND started_at >= :since
        AND direction = 'in' GROUP BY 1, 2, 3""",
    "durations_half_year": """SELECT talk_ms < 30000, talk_ms < 60000, talk_ms < 180000, talk_ms < 600000, count(*) FROM calls
        WHERE domain_id = 1 AND started_at >= :since AND direction = 'out' GROUP BY 1, 2, 3, 4""",
}  # fmt: skip
"""Queries by the name of the request that they answer."""


def prepare(ours: Path, naive: Path) -> None:
    """Copy the calls of an index into a naive one."""
    with sqlite3.connect(naive) as connection:
        connection.execute("ATTACH ? AS ours", (str(ours),))
        connection.execute("CREATE TABLE calls AS SELECT * FROM ours.calls")
        connection.execute("CREATE INDEX naive ON calls (domain_id, started_at)")
    connection.close()


def count_calls(naive: Path) -> tuple[int, int]:
    """Count the calls, and those of the first company."""
    with sqlite3.connect(naive) as connection:
        every, first = connection.execute("SELECT count(*), count(*) FILTER (WHERE domain_id = 1) FROM calls").fetchone()
    connection.close()
    return every, first
