"""Connections to PostgreSQL, directly or through a pooler such as PgBouncer.

A pooler in transaction mode gives each transaction another session of the server: a prepared
statement is known in one of them only, and a setting of the session would reach the transactions
of other clients. So behind a pooler no statement has a name, and settings end with the transaction.
"""

from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

_UNNAMED: Final = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
_NEVER_COMPILE: Final = "jit = off"  # compiling a report takes longer than running it
_PLAN_EACH: Final = "plan_cache_mode = force_custom_plan"  # the plan depends on the period asked for


def connect_through_poolers(engine: AsyncEngine) -> None:
    """Find out at the first connection of an engine whether a pooler is between; live with it."""
    pooled: bool | None = None

    def connect(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        nonlocal pooled
        if pooled is None:
            pooled = _is_pooled(dialect, arguments, options)
        if pooled:
            options.update(_UNNAMED)

    def connected(connection: Any, _record: object) -> None:
        if not pooled:
            for setting in (_NEVER_COMPILE, _PLAN_EACH):
                connection.cursor().execute(f"SET {setting}")
            connection.commit()

    def begin(connection: Connection) -> None:
        if pooled:
            connection.exec_driver_sql(f"SET LOCAL {_NEVER_COMPILE}")

    event.listen(engine.sync_engine, "do_connect", connect)
    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begin)


def _is_pooled(dialect: Dialect, arguments: list[Any], options: dict[str, Any]) -> bool:
    """Whether the server's process is another one than the connection was told at its start.

    A client of a pooler has no process of its own: the pooler makes one up.
    """
    connection: Any = dialect.connect(*arguments, **(options | _UNNAMED))
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        return bool(cursor.fetchone()[0] != connection.driver_connection.get_server_pid())
    finally:
        connection.close()
