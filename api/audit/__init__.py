"""Writing the audit log beside a response that does not wait."""
