"""Every table of the index, so that whoever compares them with what is there sees all."""

from store.database.counter_tables import group_tallies, hour_lengths, hour_tallies
from store.database.schema import metadata

__all__ = ["group_tallies", "hour_lengths", "hour_tallies", "metadata"]
