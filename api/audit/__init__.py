"""Write the audit log in the background."""
