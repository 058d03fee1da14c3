"""Reports from counters and from calls."""
