"""Move an index to another database, and objects to another place."""
