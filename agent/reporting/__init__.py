"""The report of a call for the store, and the journal that keeps the call until it is stored."""
