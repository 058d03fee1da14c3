"""The store: the index of calls and the recordings."""
