"""Backups of a store: its SQLite index and its folder of objects."""
