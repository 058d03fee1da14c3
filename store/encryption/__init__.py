"""Encryption of objects under keys of domains, and of these keys under a master key."""
