"""Intake of reports from agents: calls, recordings, counters, call backs."""
