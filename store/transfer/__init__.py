"""Move an index to another database."""
