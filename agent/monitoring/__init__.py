"""The agent's metrics and its check of the spool."""
