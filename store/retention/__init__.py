"""Removal of calls and the legal hold that prevents it."""
