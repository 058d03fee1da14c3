"""Limits of rate and of concurrency."""
