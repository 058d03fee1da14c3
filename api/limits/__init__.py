"""Limits: how many at a time (`ConcurrencyLimit`), how many in a window of time (`RateLimit`)."""
