"""Every table of the index, so that whoever compares them with what is there sees all."""

from store.schema import metadata
from store.tally_tables import group_tallies, hour_lengths, hour_tallies

__all__ = ["group_tallies", "hour_lengths", "hour_tallies", "metadata"]
