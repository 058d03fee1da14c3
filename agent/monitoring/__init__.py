"""The metrics of the agent and its check of the spool."""
