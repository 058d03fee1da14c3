"""The index: tables, connections, dialects, migrations."""
