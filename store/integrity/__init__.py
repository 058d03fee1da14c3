"""Comparison of the index with the objects, the audit's chains and the counters."""
