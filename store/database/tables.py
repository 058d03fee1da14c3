"""All tables, for Alembic."""

from store.database.counter_tables import group_counters, hour_counters
from store.database.schema import metadata

__all__ = ["group_counters", "hour_counters", "metadata"]
