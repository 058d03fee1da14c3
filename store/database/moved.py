"""The marks of a move to another database: here is all no longer, or not yet.

They are no tables of the schema: they exist only in an index that moves.
"""

from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, inspect, select, text

from fonoteka.core.errors import ConfigurationError
from store.database.tables import metadata

_MARKS: Final = MetaData()
_moved = Table("moved_to", _MARKS, Column("address", Text, nullable=False))
_arriving = Table("move_in_progress", _MARKS, Column("since", Text))


def check(connection: Connection) -> None:
    """Raise ConfigurationError if the index was moved away, or is not complete yet."""
    if (address := moved_to(connection)) is not None:
        raise ConfigurationError(f"store.database: this index was moved to {address}; name that one")
    if is_arriving(connection):
        raise ConfigurationError("store.database: the move to this index has not ended: `fonoteka migrate --finish` ends it")


def moved_to(connection: Connection) -> str | None:
    """Return the address to which an index was moved, without its password."""
    if not inspect(connection).has_table(_moved.name):
        return None
    address: str = connection.execute(select(_moved.c.address)).scalar_one()
    return address


def close_for_writing(connection: Connection, address: str) -> None:
    """Mark an SQLite index as moved; whoever still has it open cannot write into it any more."""
    _moved.create(connection)
    connection.execute(insert(_moved).values(address=address))
    for table in metadata.sorted_tables:
        for change in ("INSERT", "UPDATE", "DELETE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER moved_{table.name}_{change.lower()} BEFORE {change} ON {table.name} "
                    "BEGIN SELECT RAISE(ABORT, 'this index was moved to another database'); END"
                )
            )


def is_arriving(connection: Connection) -> bool:
    """Return whether rows of another index are still being copied here."""
    return inspect(connection).has_table(_arriving.name)


def begin_arriving(connection: Connection) -> None:
    """Mark an index as incomplete."""
    _arriving.create(connection)


def end_arriving(connection: Connection) -> None:
    """Mark an index as complete."""
    _arriving.drop(connection)
