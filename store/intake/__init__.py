"""Writing what agents report: calls, recordings, counters, call-backs."""
